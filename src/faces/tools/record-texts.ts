/** What a record says, in sentences for a model. What others wrote is data and kept apart. */
import {
  isFinalStatus,
  type FailureCode,
  type StopCause,
  type TaskFailure,
  type TaskStatus,
} from '../../../machines/vocabulary.ts'
import { capText } from '../../kept-text.ts'
import type { TaskProgress, TaskRecord } from '../../ports/task-record.ts'
import { inSentence } from './answers.ts'

const MAX_TARGET_CHARS = 100
const MS_PER_SECOND = 1_000

const STATUS_TEXTS: Readonly<Record<TaskStatus, string>> = {
  queued: 'queued, its work has not begun',
  running: 'running',
  waiting: 'waiting for an answer',
  retrying: 'waiting for its next attempt',
  finishing: 'finishing, its own work is done and tasks below it still run',
  stopping: 'stopping',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
}

const CAUSE_TEXTS: Readonly<Record<StopCause['reason'], string>> = {
  user: 'it was cancelled on request',
  parent: 'the task above it stopped',
  shutdown: 'the system that runs it shut down',
  superseded: 'another task took its place',
  budget: 'its budget is used up',
  child_failed: 'a task below it failed',
  timeout: 'it ran longer than it may',
  interrupted: 'the process that ran it was lost',
}

const FAILURE_TEXTS: Readonly<Record<FailureCode, string>> = {
  tool_error: 'its own work failed',
  timeout: 'it ran longer than it may',
  queue_timeout: 'it waited too long for its start',
  interrupted: 'the process that ran it was lost',
  child_failed: 'a task below it failed',
  result_unserialisable: 'its result cannot be kept',
  result_too_large: 'its result is too large to be kept',
}

/** Which task it is, how it stands and why. */
export function describeState(record: TaskRecord, now: number): string {
  const { taskId, tool, name, status, cause, failure } = record
  const named = name === undefined ? '' : `, named ${name}`
  const sentences = [`Task ${taskId} (${inSentence(tool)}${named}): ${STATUS_TEXTS[status]}${reasonOf(record)}.`]
  sentences.push(describeTime(record, now))
  if (record.abandoned === true) sentences.push('It ignored that it had to stop, so its work may still go on.')
  if (failure?.retryable === true) sentences.push('It may help to start it again.')
  if (cause?.actor !== undefined && cause.actor !== record.owner && cause.actor !== 'operator') {
    sentences.push(`That was asked for by task ${inSentence(cause.actor)}.`)
  }
  if (!isFinalStatus(status) && record.progress !== undefined) sentences.push(describeProgress(record.progress))
  return sentences.filter((sentence) => sentence !== '').join(' ')
}

function reasonOf({ status, failure, cause }: TaskRecord): string {
  if (status === 'failed' && failure !== undefined) return ` because ${FAILURE_TEXTS[failure.code]} (${failure.code})`
  const isStop = status === 'cancelled' || status === 'stopping'
  return isStop && cause !== undefined ? ` because ${CAUSE_TEXTS[cause.reason]}` : ''
}

function describeTime({ createdAt, startedAt, endedAt }: TaskRecord, now: number): string {
  if (startedAt === undefined) return endedAt === undefined ? `Called ${secondsOf(now - createdAt)} ago.` : ''
  return endedAt === undefined
    ? `It began ${secondsOf(now - startedAt)} ago.`
    : `It took ${secondsOf(endedAt - startedAt)}.`
}

/** Seconds from its start, or from its call as long as it has not begun. */
export function secondsSince({ createdAt, startedAt, endedAt }: TaskRecord, now: number): number {
  return Math.max(0, Math.round(((endedAt ?? now) - (startedAt ?? createdAt)) / 100) / 10)
}

function secondsOf(ms: number): string {
  return `${(Math.max(0, ms) / MS_PER_SECOND).toFixed(1)} s`
}

function describeProgress({ fraction, done, total }: TaskProgress): string {
  const percent = fraction === undefined ? '' : `${Math.floor(fraction * 100)} %`
  const counted = done === undefined ? '' : `${done}${total === undefined ? '' : ` of ${total}`}`
  if (percent === '' && counted === '') return ''
  if (percent === '') return `Done so far: ${counted}.`
  return `Done so far: ${percent}${counted === '' ? '' : ` (${counted})`}.`
}

/** Where the result goes, for a task whose caller has a ticket. */
export function describeTarget({ caller, targets, status }: TaskRecord): string {
  const [first] = targets
  if (caller !== 'detached' || first === undefined) return ''
  const others = targets.length === 1 ? '' : ` and ${targets.length - 1} more`
  const when = isFinalStatus(status) ? 'Its result was sent on its way to' : 'When it ends, its result goes to'
  return `${when} ${capText(inSentence(first), MAX_TARGET_CHARS)}${others}.`
}

/** What was written by whoever made the task, by its code and by whoever stopped it. */
export function dataOf(record: TaskRecord): string {
  const { description, progress, cause, failure, status, questions = [] } = record
  return [
    labelled('description', description),
    ...questions.map(({ key, question }) => labelled(`open question ${JSON.stringify(key)}`, valueText(question))),
    labelled('last note', isFinalStatus(status) ? undefined : progress?.note),
    labelled('note on the stop', cause?.note),
    labelled('failure', failure === undefined ? undefined : failureText(failure)),
  ]
    .filter((line) => line !== '')
    .join('\n')
}

function labelled(label: string, value: string | undefined): string {
  return value === undefined ? '' : `${label}: ${value}`
}

/** A failure with all its causes. */
export function failureText(failure: TaskFailure): string {
  const lines: string[] = []
  for (let at: TaskFailure | undefined = failure; at !== undefined; at = at.cause) {
    lines.push(`${lines.length === 0 ? '' : 'caused by '}${at.name}: ${at.message}`)
    if (at.details !== undefined) lines.push(`details: ${JSON.stringify(at.details)}`)
  }
  return lines.join('\n')
}

/** A value as a text: a text as it is, everything else as JSON. */
export function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 1)
}
