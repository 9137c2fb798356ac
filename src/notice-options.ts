/** What people are told of tasks, as the host wants it. */
import { checkBoolean, checkDuration, checkOptionNames, orDefault } from './options.ts'

export interface NoticeOptions {
  /** Whether the start of a task that went to the background is told. @defaultValue where people read along, see `Channel.presence` */
  readonly start?: boolean
  /** Whether it is shown that a task is under way, where a channel can. @defaultValue true */
  readonly typing?: boolean
  /**
   * How long the results of one conversation are collected for one message, in milliseconds. @defaultValue 0: each has a
   * message of its own
   */
  readonly digestMs?: number
}

export interface NoticeSettings {
  readonly start: boolean | undefined
  readonly typing: boolean
  readonly digestMs: number
}

export function toNoticeSettings(options: unknown): NoticeSettings {
  const given = checkOptionNames('notices', options, ['start', 'typing', 'digestMs'])
  return {
    start: given['start'] === undefined ? undefined : checkBoolean('notices.start', given['start']),
    typing: checkBoolean('notices.typing', orDefault(given['typing'], true)),
    digestMs: checkDuration('notices.digestMs', orDefault(given['digestMs'], 0), { mayBeZero: true }),
  }
}
