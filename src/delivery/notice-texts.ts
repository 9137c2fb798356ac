/** The built-in notices: a line about the task, then what it says in a fence that nothing in it closes. */
import type { StopCause, TaskFailure } from '../../machines/vocabulary.ts'
import type { TaskRecord } from '../ports/task-record.ts'
import { createDocumentWriter, type DocumentWriter, type NoticeBody, type NoticeDocument } from './notice-document.ts'
import type { DigestNoticeView, EndNoticeView, QuestionNoticeView, StartNoticeView } from './notice-settings.ts'
import { visibleBody, visibleName } from './visible-text.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const MAX_DESCRIPTION_CHARS = 500

/** Lines of a stack, as the engine writes them. */
const STACK_LINE = /^[ \t]*at (?:.*\(.*\)|(?:async )?\S+:\d+:\d+)[ \t]*(?:\n|$)/gm

const CAUSES: Readonly<Record<StopCause['reason'], string>> = {
  user: 'on request',
  parent: 'with the task above it',
  shutdown: 'by a shutdown',
  superseded: 'for a newer task',
  budget: 'its budget is used up',
  child_failed: 'a task below it failed',
  timeout: 'its time was over',
  interrupted: 'its process was lost',
}

/** It tells what stays as it is while the task runs, so that another attempt says the same. */
export function startDocument({ record }: StartNoticeView): NoticeDocument {
  const writer = createDocumentWriter()
  writer.head(`${titleOf(record)} goes on in the background · task ${visibleName(record.taskId)}`)
  if (record.description !== undefined && record.description.trim() !== '') {
    writer.body({ text: visibleBody(record.description), info: '' }, MAX_DESCRIPTION_CHARS)
  }
  return writer.end(visibleName(record.taskId))
}

/** Who answers needs the key and the task. The time is told as it was set, so that another attempt says the same. */
export function questionDocument({ record, question }: QuestionNoticeView, maxChars: number): NoticeDocument {
  const writer = createDocumentWriter()
  writer.head(`${titleOf(record)} asks and waits for an answer · task ${visibleName(record.taskId)}`)
  const { body } = toBody(question.question)
  if (body !== undefined) writer.body(body, maxChars)
  writer.line(`Question ${visibleName(question.key)}, open until ${new Date(question.answerBy).toISOString()}.`)
  return writer.end(visibleName(record.taskId))
}

export function endDocument(view: EndNoticeView, maxChars: number): NoticeDocument {
  const writer = createDocumentWriter()
  const parts = partsOf(view)
  const share = fairShare(parts, maxChars)
  write(writer, view, { parts, share })
  return writer.end(visibleName(view.record.taskId))
}

export function digestDocument({ ends }: DigestNoticeView, maxChars: number): NoticeDocument {
  const writer = createDocumentWriter()
  const parts = ends.map(partsOf)
  const share = fairShare(parts.flat(), maxChars)
  writer.line(`${ends.length} tasks have ended: ${countsOf(ends)}.`)
  for (const [index, view] of ends.entries()) write(writer, view, { parts: parts[index] ?? [], share })
  return writer.end(undefined)
}

/** Something that a task says, below a line about it where one is needed. */
interface NoticePart {
  readonly line?: string
  readonly body?: NoticeBody
}

function write(
  writer: DocumentWriter,
  view: EndNoticeView,
  { parts, share }: { readonly parts: readonly NoticePart[]; readonly share: number },
): void {
  writer.head(`${titleOf(view.record)} ${outcomeOf(view)} · task ${visibleName(view.record.taskId)}`)
  for (const { line, body } of parts) {
    if (line !== undefined) writer.line(line)
    if (body !== undefined) writer.body(body, share)
  }
}

function titleOf({ tool, name }: TaskRecord): string {
  return name === undefined ? visibleName(tool) : `${visibleName(name)} (${visibleName(tool)})`
}

function outcomeOf({ record, value, durationMs, spilledBytes }: EndNoticeView): string {
  const { status, failure, cause } = record
  const after = durationMs === undefined ? 'before it started' : `after ${durationText(durationMs)}`
  if (status === 'failed') {
    const code = failure === undefined || failure.code === 'tool_error' ? '' : ` (${failure.code})`
    return `failed ${after}${code}`
  }
  if (status === 'cancelled') return `was cancelled ${after}${cause === undefined ? '' : ` (${CAUSES[cause.reason]})`}`
  const time = durationMs === undefined ? '' : ` in ${durationText(durationMs)}`
  if (value === undefined && spilledBytes === undefined) return `completed${time} with no result`
  return `completed${time}${typeof value === 'string' && value.trim() === '' ? ' with an empty result' : ''}`
}

function partsOf(view: EndNoticeView): NoticePart[] {
  const { record, value, spilledBytes } = view
  const isCompleted = record.status === 'completed'
  const parts: NoticePart[] = []
  if (record.status === 'failed' && record.failure !== undefined) parts.push(toBody(failureText(record.failure)))
  if (record.status === 'cancelled' && record.cause?.note !== undefined) parts.push(toBody(record.cause.note))
  if (isCompleted && value !== undefined) parts.push(toBody(value))
  if (isCompleted && record.truncated === true) parts.push({ line: 'Only the beginning of this result is kept.' })
  if (!isCompleted && record.partial !== undefined)
    parts.push({ line: 'What it had by then:', ...toBody(record.partial) })
  if (spilledBytes !== undefined) {
    const what = isCompleted ? 'The result' : 'What it had by then'
    const size = `${spilledBytes.toLocaleString('en-US')} bytes`
    parts.push({
      line: `${what} is too large to be shown (${size}). Ask for task ${visibleName(record.taskId)} to read it.`,
    })
  }
  return parts
}

/** The name of the error and its message. What a tool puts into a message is shown, but no stack. */
function failureText({ code, name, message }: TaskFailure): string {
  const plain = message.replace(STACK_LINE, '').trimEnd()
  return code === 'tool_error' && name !== 'Error' ? `${name}: ${plain}` : plain
}

/** A text as it is, what has nothing but a text as that, and anything else as JSON. */
function toBody(value: unknown): NoticePart {
  const text = typeof value === 'string' ? value : onlyText(value)
  if (text === undefined) return { body: { text: visibleBody(JSON.stringify(value, undefined, 2)), info: 'json' } }
  return text.trim() === '' ? {} : { body: { text: visibleBody(text), info: '' } }
}

function onlyText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('text' in value) || Object.keys(value).length !== 1)
    return undefined
  return typeof value.text === 'string' ? value.text : undefined
}

/** How long each text may be for all of them to have `maxChars` together: short ones leave their share to the others. */
function fairShare(parts: readonly NoticePart[], maxChars: number): number {
  const lengths = parts.flatMap(({ body }) => (body === undefined ? [] : [body.text.length])).sort((a, b) => a - b)
  let left = maxChars
  for (const [index, length] of lengths.entries()) {
    const share = Math.floor(left / (lengths.length - index))
    if (length > share) return share
    left -= length
  }
  return Infinity
}

function countsOf(ends: readonly EndNoticeView[]): string {
  const statuses = ['completed', 'failed', 'cancelled'] as const
  const counts = statuses.map(
    (status) => [ends.filter(({ record }) => record.status === status).length, status] as const,
  )
  return counts
    .filter(([count]) => count > 0)
    .map(([count, status]) => `${count} ${status}`)
    .join(', ')
}

function durationText(durationMs: number): string {
  if (durationMs < MINUTE_MS) return `${(Math.floor(durationMs / 100) / 10).toFixed(1)} s`
  const [unitMs, unit, smallerMs, smaller] =
    durationMs < HOUR_MS ? ([MINUTE_MS, 'min', SECOND_MS, 's'] as const) : ([HOUR_MS, 'h', MINUTE_MS, 'min'] as const)
  return `${Math.floor(durationMs / unitMs)} ${unit} ${Math.floor((durationMs % unitMs) / smallerMs)} ${smaller}`
}
