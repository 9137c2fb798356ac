/**
 * What is sent of a task: that it went to the background, what it asks, how it ended, or how several of one conversation did.
 *
 * 1. The same notice gives the same messages, always; a message that is sent again is the one that was sent.
 * 2. What comes from tasks stands in a fence that nothing in it closes, or is one name in one line. Neither pings anybody
 *    nor formats anything.
 * 3. Each message fits the limits of its channel. What does not fit into all of them is not sent, and the last line says
 *    how much that is and which task to ask.
 * 4. No stack and no input of a task is in it. What a tool throws is, and a host that has secrets there brings a template.
 */
import type { ChannelLimits } from '../ports/channel.ts'
import type { OpenQuestion, TaskRecord } from '../ports/task-record.ts'
import { fitNotice } from './fit-notice.ts'
import { toDocument, type NoticeDocument } from './notice-document.ts'
import type {
  DigestNoticeView,
  EndNoticeView,
  NoticeSettings,
  QuestionNoticeView,
  StartNoticeView,
} from './notice-settings.ts'
import { digestDocument, endDocument, questionDocument, startDocument } from './notice-texts.ts'
import { visibleName } from './visible-text.ts'

export interface StartNotice {
  readonly kind: 'start'
  readonly record: TaskRecord
}

export interface QuestionNotice {
  readonly kind: 'question'
  readonly record: TaskRecord
  readonly question: OpenQuestion
}

export interface EndNotice {
  readonly kind: 'end'
  readonly record: TaskRecord
  /** What the task gave; it is frozen with the view. Absent when there is nothing, and when it is spilled. */
  readonly value?: unknown
  /** The result, or the partial one, is kept beside the record, which says its size. */
  readonly isSpilled?: boolean
}

export interface DigestNotice {
  readonly kind: 'digest'
  readonly ends: readonly EndNotice[]
}

export type Notice = StartNotice | QuestionNotice | EndNotice | DigestNotice

export interface NoticeMessages {
  /** Markdown; at least one. */
  readonly texts: readonly string[]
  /** What a template threw, or what was wrong with its text; the built-in text stands in its place. */
  readonly templateError?: unknown
}

/** No limits: the notice is one message. */
const UNLIMITED: ChannelLimits = { maxChars: Infinity }

export function toMessages(
  notice: Notice,
  settings: NoticeSettings,
  limits: ChannelLimits = UNLIMITED,
): NoticeMessages {
  const { maxChars, maxMessages, templates } = settings
  const fit = (document: NoticeDocument): readonly string[] => fitNotice(document, { maxMessages, limits })
  const written = fromTemplate(notice, templates)
  if (typeof written === 'string') return { texts: fit(toDocument(written, { maxChars, task: taskOf(notice) })) }
  const texts = fit(builtIn(notice, maxChars))
  return written === undefined ? { texts } : { texts, templateError: written.error }
}

function taskOf(notice: Notice): string | undefined {
  return notice.kind === 'digest' ? undefined : visibleName(notice.record.taskId)
}

function builtIn(notice: Notice, maxChars: number): NoticeDocument {
  switch (notice.kind) {
    case 'start':
      return startDocument(toStartView(notice))
    case 'question':
      return questionDocument(toQuestionView(notice), maxChars)
    case 'end':
      return endDocument(toEndView(notice), maxChars)
    case 'digest':
      return digestDocument(toDigestView(notice), maxChars)
  }
}

/** What the host's own template says; nothing where there is none. */
function fromTemplate(
  notice: Notice,
  templates: NoticeSettings['templates'],
): string | { readonly error: unknown } | undefined {
  try {
    const text = callTemplate(notice, templates)
    if (text === undefined) return undefined
    if (typeof text.written === 'string' && text.written.trim() !== '') return text.written
    return { error: new TypeError(`the template for ${notice.kind} has to give a text`) }
  } catch (error) {
    return { error }
  }
}

function callTemplate(
  notice: Notice,
  { start, question, end, digest }: NoticeSettings['templates'],
): { readonly written: unknown } | undefined {
  switch (notice.kind) {
    case 'start':
      return start && { written: start(frozen(toStartView(notice))) }
    case 'question':
      return question && { written: question(frozen(toQuestionView(notice))) }
    case 'end':
      return end && { written: end(frozen(toEndView(notice))) }
    case 'digest':
      return digest && { written: digest(frozen(toDigestView(notice))) }
  }
}

function toStartView({ record }: StartNotice): StartNoticeView {
  return { record }
}

function toQuestionView({ record, question }: QuestionNotice): QuestionNoticeView {
  return { record, question }
}

function toEndView({ record, value, isSpilled }: EndNotice): EndNoticeView {
  const { startedAt, endedAt, resultBytes } = record
  return {
    record,
    ...(value === undefined ? {} : { value }),
    ...(startedAt === undefined || endedAt === undefined ? {} : { durationMs: Math.max(0, endedAt - startedAt) }),
    ...(isSpilled === true ? { spilledBytes: resultBytes ?? 0 } : {}),
  }
}

function toDigestView({ ends }: DigestNotice): DigestNoticeView {
  return { ends: ends.map(toEndView) }
}

/** Plain data, frozen all the way down, so that no template changes what the next one sees. */
function frozen<View>(view: View): View {
  const rest: unknown[] = [view]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next !== 'object' || next === null) continue
    Object.freeze(next)
    for (const inner of Object.values(next)) if (typeof inner === 'object' && inner !== null) rest.push(inner)
  }
  return view
}
