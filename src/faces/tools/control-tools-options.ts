/** The options of a set of control tools, checked. */
import { badOption, checkFunction, checkLimit, checkText, orDefault } from '../../options.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Session } from '../../ports/session.ts'
import { currentTask } from '../../runtime/ambient.ts'
import type { ControlParts, ControlToolName } from './control-tool.ts'
import type { StartableTool } from './startable.ts'

/** What a host lets a model do. What is not named is not allowed to it where it could do harm. */
export interface ControlToolsOptions {
  /** Only these tools. @defaultValue all that the other options leave */
  readonly allow?: readonly ControlToolName[]
  /** Only tools that change nothing, and of `start` those that are `readOnly`. @defaultValue false */
  readonly readOnly?: boolean
  /** The targets that `task_redirect` may name. Without any the model does not get that tool. @defaultValue `[]` */
  readonly redirectTo?: readonly string[]
  /**
   * The model may answer questions of tasks, approvals among them. Without that it does not get `task_answer`.
   * @defaultValue false
   */
  readonly mayAnswer?: boolean
  /** The tools that `task_start` may start. Without any the model does not get that tool. @defaultValue `[]` */
  readonly start?: readonly StartableTool[]
  /**
   * The id of the task that the model works for, where its code is not found by itself: under explicit lineage, or where
   * tools are called from outside of the task's code.
   * @defaultValue the task whose code is running, as `currentTask` tells it
   */
  readonly self?: string
  /** How many tokens an answer has at most, at least 400; a longer result comes in pages. @defaultValue 2 000 */
  readonly maxTokens?: number
  /**
   * Counts the tokens of a text. Each time a page is read it is called about ten times for each page of the result.
   * @defaultValue a token for each four characters that were begun
   */
  readonly countTokens?: (text: string) => number
  /** For tests: what durations are told by. @defaultValue the clock of the process */
  readonly clock?: Pick<Clock, 'now'>
  /** Told of errors without a code, of which the model learns only that something went wrong. @defaultValue nobody */
  readonly onError?: (error: unknown, tool: ControlToolName) => void
}

export const CONTROL_TOOLS_OPTIONS = [
  'allow',
  'readOnly',
  'redirectTo',
  'mayAnswer',
  'start',
  'self',
  'maxTokens',
  'countTokens',
  'clock',
  'onError',
]

const DEFAULT_MAX_TOKENS = 2_000
/** What the sentences around the data of an answer need, with room for data. */
const LEAST_MAX_TOKENS = 400
const CHARS_PER_TOKEN = 4
const MAX_ID_CHARS = 256

/** @throws what a supervisor without an owner says, here and not to a model; TypeError for what is no session */
export function checkSession(session: Session): Session {
  if (typeof session?.get !== 'function') throw badOption('session', 'a session', session)
  checkText('session.owner', session.owner, MAX_ID_CHARS)
  return session
}

export function checkTexts(name: string, value: unknown): readonly string[] {
  const isFine = Array.isArray(value) && (value as unknown[]).every((text) => typeof text === 'string' && text !== '')
  if (!isFine) throw badOption(name, 'an array of non-empty strings', value)
  return value as readonly string[]
}

export function toFits({ maxTokens, countTokens }: ControlToolsOptions): ControlParts['fits'] {
  const most = checkLimit('maxTokens', orDefault(maxTokens, DEFAULT_MAX_TOKENS))
  if (most < LEAST_MAX_TOKENS) throw badOption('maxTokens', `at least ${LEAST_MAX_TOKENS}`, maxTokens)
  const count = checkFunction('countTokens', orDefault(countTokens, estimateTokens))
  const fits = (text: string): boolean => {
    const tokens = count(text)
    // What is no number would be above every limit and below it.
    if (typeof tokens !== 'number' || !(tokens >= 0))
      throw badOption('what countTokens gives', 'a number from 0 up', tokens)
    return tokens <= most
  }
  // A counter that does not count is found out now.
  fits('text')
  return fits
}

function estimateTokens(text: string): number {
  return Math.ceil(text.length / CHARS_PER_TOKEN)
}

/** A task that the session does not know is none of the owner's: the code of somebody else's task may be running. */
export function toFindSelf(session: Session, self: unknown): ControlParts['findSelf'] {
  const named = self === undefined ? undefined : checkText('self', self, MAX_ID_CHARS)
  return async () => {
    const taskId = named ?? currentTask()?.taskId
    return taskId === undefined ? undefined : (await session.get(taskId))?.taskId
  }
}

export function toNow(clock: Pick<Clock, 'now'> | undefined): ControlParts['now'] {
  if (clock === undefined) return Date.now
  if (typeof clock?.now !== 'function') throw badOption('clock.now', 'a function', clock)
  return () => clock.now()
}

/** What the host's listener throws has nobody who could be told of it. */
export function toReport(onError: ControlToolsOptions['onError']): ControlParts['reportError'] {
  if (onError === undefined) return () => undefined
  const report = checkFunction('onError', onError)
  return (error, tool) => {
    try {
      report(error, tool)
    } catch {
      // The one place to report it is the one that failed.
    }
  }
}
