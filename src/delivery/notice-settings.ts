/** What a notice is made from, and how much of it there may be. */
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkLimit,
  checkOptionNames,
  checkWhole,
  orDefault,
} from '../options.ts'
import type { OpenQuestion, TaskRecord } from '../ports/task-record.ts'

/** What a template sees of a task that went to the background. */
export interface StartNoticeView {
  readonly record: TaskRecord
}

/** What a template sees of a task that waits for an answer. */
export interface QuestionNoticeView {
  readonly record: TaskRecord
  readonly question: OpenQuestion
}

/** What a template sees of a task that has ended. All of it is frozen. */
export interface EndNoticeView {
  readonly record: TaskRecord
  /** The result; absent when there is none, when it is spilled, and for everything but `completed`. */
  readonly value?: unknown
  /** From its start to its end, in milliseconds; absent when it never started. */
  readonly durationMs?: number
  /** The size of a result that is kept beside its record and not read for a notice. */
  readonly spilledBytes?: number
}

/** What a template sees of several ends of one conversation, in the order in which they came. */
export interface DigestNoticeView {
  readonly ends: readonly EndNoticeView[]
}

/**
 * Own texts in the place of the built-in ones, as Markdown. They are capped and split like those. A template has to give the
 * same text whenever it sees the same: a message that is sent again must not differ. One that throws, or gives no text,
 * is replaced by the built-in text, and the log says so. What tasks say stands in the text as the template puts it there:
 * neutralising it is up to the template.
 */
export interface NoticeTemplates {
  start?(view: StartNoticeView): string
  question?(view: QuestionNoticeView): string
  end?(view: EndNoticeView): string
  digest?(view: DigestNoticeView): string
}

/** What people are told of tasks, as the host wants it. */
export interface NoticeOptions extends Partial<NoticeSettings> {
  /**
   * Whether the start of a task is told that went to the background. @defaultValue where people read along: at channels with
   * a `presence`
   */
  readonly start?: boolean
  /** Whether it is shown that a task is under way, where a channel can. @defaultValue true */
  readonly typing?: boolean
  /**
   * How long results of one conversation are collected for one message to one target, in milliseconds. @defaultValue 0: each
   * has a message of its own
   */
  readonly digestMs?: number
}

/** The same, complete. `start` is `undefined` where the channel decides. */
export interface CheckedNotices extends NoticeSettings {
  readonly start: boolean | undefined
  readonly typing: boolean
  readonly digestMs: number
}

export interface NoticeSettings {
  /** How much of a result is shown, in characters as `length` counts them. @defaultValue 9 000 */
  readonly maxChars: number
  /** How many messages one notice may be, up to 100. @defaultValue 5 */
  readonly maxMessages: number
  /** @defaultValue none */
  readonly templates: NoticeTemplates
}

/** The settings from the options of a host. @throws TypeError */
export function toNoticeSettings(name: string, options: unknown): CheckedNotices {
  const known = ['maxChars', 'maxMessages', 'templates', 'start', 'typing', 'digestMs']
  const { maxChars, maxMessages, templates, start, typing, digestMs } = checkOptionNames(name, options, known)
  const given = checkOptionNames(`${name}.templates`, templates, ['start', 'question', 'end', 'digest'])
  for (const kind of Object.keys(given)) {
    if (given[kind] !== undefined) checkFunction(`${name}.templates.${kind}`, given[kind])
  }
  return {
    maxChars: checkLimit(`${name}.maxChars`, orDefault(maxChars, 9_000)),
    maxMessages: checkWhole(`${name}.maxMessages`, orDefault(maxMessages, 5), { min: 1, max: 100 }),
    templates: given,
    start: start === undefined ? undefined : checkBoolean(`${name}.start`, start),
    typing: checkBoolean(`${name}.typing`, orDefault(typing, true)),
    digestMs: checkDuration(`${name}.digestMs`, orDefault(digestMs, 0), { mayBeZero: true }),
  }
}
