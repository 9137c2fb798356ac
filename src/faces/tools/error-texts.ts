/** Errors in words for a model: what happened, and what it can do. By code, so that no message of an error leaks. */
import { isTaskError, type ErrorCode, type TaskError } from '../../errors.ts'
import { capText } from '../../kept-text.ts'
import type { ControlParts, ControlToolName } from './control-tool.ts'
import { inSentence } from './answers.ts'

interface ErrorText {
  readonly text: string
  /** The error names a task of the owner's that a model can use. */
  readonly tellsTask?: true
  /** Said if the model has this tool. */
  readonly hint?: { readonly tool: ControlToolName; readonly text: string }
}

const MAX_DETAILS = 10
const MAX_DETAIL_CHARS = 200
const MS_PER_SECOND = 1_000

const SEE_LIST = { tool: 'task_list', text: 'task_list shows the tasks there are.' } as const
const SEE_RESULT = { tool: 'task_result', text: 'task_result reads its result.' } as const

const ERROR_TEXTS = {
  task_not_found: {
    text: 'There is no such task among yours. Ids are told by tickets; use one as it was given.',
    hint: SEE_LIST,
  },
  task_failed: { text: 'The task failed.', hint: SEE_RESULT },
  task_cancelled: { text: 'The task was cancelled before it had a result.', hint: SEE_RESULT },
  task_stopped: { text: 'The task that this call belongs to has to stop. Bring your work to an end.' },
  task_final: { text: 'The task has ended already, so this came too late.', hint: SEE_RESULT },
  wait_timeout: { text: 'The task has not ended yet, and it goes on. Do something else meanwhile, or wait again.' },
  wait_cycle: {
    text: 'You cannot wait for this task: it is your own, one above it, or one that waits for yours. Go on without its result.',
  },
  task_unreachable: {
    text: 'The process that runs the task does not answer just now. Try again in a while.',
  },
  capacity_exceeded: {
    text: 'Too many tasks are live, so nothing was started. Wait until some have ended, then try again.',
  },
  queue_full: { text: 'Too many tasks wait for their turn, so nothing was started. Try again later.' },
  key_busy: {
    text: 'This may run only once at a time, and it does already, so nothing was started. Wait for the end of that task.',
    tellsTask: true,
  },
  key_held_by_ancestor: {
    text: 'A task above yours, or one that waits for yours, keeps this from starting. Nothing was started; do the work yourself.',
  },
  dedupe_conflict: {
    text: 'This was asked for with another input before, so nothing was started. Use what that task gives.',
    tellsTask: true,
  },
  depth_exceeded: { text: 'Tasks cannot be nested more deeply, so nothing was started. Do the work yourself.' },
  children_exceeded: {
    text: 'Your task has as many live tasks below it as it may, so nothing was started. Wait until one has ended, then try again.',
  },
  budget_exceeded: {
    text: 'The budget that you share with other tasks is used up, so nothing was started. Bring your work to an end with what you have.',
  },
  parent_stopping: { text: 'Your task has to stop, so nothing was started. Bring your work to an end.' },
  name_taken: { text: 'Another live task has this name, so nothing was started. Use another name, or none.' },
  name_invalid: {
    text: 'This is no name for a task, so nothing was started. A name is a letter and up to 63 letters, digits, _ or -, and none of parent, owner, self, all, broadcast.',
  },
  input_invalid: { text: 'The input does not fit the tool, so nothing was started. Correct it and call again.' },
  target_invalid: { text: 'This target cannot be used, so nothing was changed. Tell the user, or use another one.' },
  delivery_not_found: { text: 'There is nothing undelivered like that.' },
  not_allowed: { text: 'This is not possible for this task, so nothing was changed. Do not try it again.' },
  inbox_full: { text: 'Too many messages wait there to be read, so yours was not taken. Try again later.' },
  question_closed: {
    text: 'This question is not open, so the answer was not taken.',
    hint: { tool: 'task_check', text: 'task_check shows what a task asks.' },
  },
  invalid_cursor: {
    text: 'This `after` belongs to no list of yours. Call again without it to begin with the first page.',
  },
  stream_lagged: { text: 'Some of what happened was missed.', hint: SEE_LIST },
  supervisor_closed: { text: 'The system is shutting down and starts nothing any more. Bring your work to an end.' },
  store_unavailable: {
    text: 'The place where tasks are kept does not answer, so nothing was started. Try again later.',
  },
  store_full: { text: 'The place where tasks are kept is full, so nothing was started. Tell the user.' },
  store_unusable: { text: 'The place where tasks are kept cannot be used, so nothing was started. Tell the user.' },
} as const satisfies Readonly<Record<ErrorCode, ErrorText>>

const UNKNOWN = 'Something went wrong that you can do nothing about. Go on without this, or try again later.'

export function describeError(error: unknown, { names }: Pick<ControlParts, 'names'>): string {
  if (!isTaskError(error)) return UNKNOWN
  const { text, hint, tellsTask }: ErrorText = ERROR_TEXTS[error.code]
  const sentences = [
    text,
    ...(tellsTask === true && error.taskId !== undefined ? [`It is task ${error.taskId}.`] : []),
    ...(hint !== undefined && names.has(hint.tool) ? [hint.text] : []),
    ...(error.retryAfterMs === undefined ? [] : [`It may work in ${Math.ceil(error.retryAfterMs / MS_PER_SECOND)} s.`]),
  ]
  return [sentences.join(' '), ...detailsOf(error)].join('\n')
}

function detailsOf(error: TaskError): string[] {
  return error.code === 'input_invalid' ? issuesOf(error.details) : []
}

/** What a schema found wrong with a value, a line each. */
export function issuesOf(details: unknown): string[] {
  if (!Array.isArray(details)) return []
  const issues = details as readonly { readonly path?: unknown; readonly message?: unknown }[]
  return issues.slice(0, MAX_DETAILS).map(({ path, message }) => {
    const place = typeof path === 'string' && path !== '' ? `${path}: ` : ''
    return `- ${capText(inSentence(`${place}${String(message)}`), MAX_DETAIL_CHARS)}`
  })
}
