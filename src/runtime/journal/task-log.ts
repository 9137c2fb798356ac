/** The log of one task of record: how it is opened, and what its state means. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { isFinalEventType, type StoredEvent, type TaskEventData } from '../../ports/task-event.ts'
import type { Attachment, Commit } from '../../ports/task-store.ts'
import type { LiveTask, TaskLog } from '../live-task.ts'

/** Most commits have no claims, attachments and deliveries, and share that they have none. */
export const NONE: readonly never[] = Object.freeze([])
/** Most first events have no data, and share that they have none. */
export const NO_DATA = Object.freeze({})

/** `node`: the name of the process that runs the task, if there may be several. */
export function openLog(task: LiveTask, node: string | undefined, pending: StoredEvent[] | undefined): TaskLog {
  const log: TaskLog = {
    node,
    version: 0,
    isInFlight: false,
    isStarting: false,
    refusal: undefined,
    pending,
    outbox: NONE,
    claims: NONE,
    attachments: takeInput(task),
    onClaim: undefined,
    trimTo: 0,
    committed: undefined,
    committedSeq: 0,
    heldBy: 0,
    holds: NONE,
    waiting: [],
  }
  task.log = log
  if (task.reported !== undefined) task.reported.draft = undefined
  return log
}

/** What the task may have to run with again goes to the store with its first commit. */
function takeInput({ rare }: LiveTask): readonly Attachment[] {
  const recovery = rare?.recovery
  if (recovery?.inputJson === undefined) return NONE
  const json = recovery.inputJson
  recovery.inputJson = undefined
  return [{ kind: 'input', json }]
}

type QueuedData = TaskEventData['task.queued']

export function queuedDataOf({ spec, parentId, above }: LiveTask): QueuedData {
  const { description, metadata } = spec
  const { onParentEnd } = spec.policy
  // The first event comes before any child has become a root.
  const isElsewhere = parentId !== undefined && above.kind === 'owner'
  if (description === undefined && metadata === undefined && onParentEnd === 'wait' && !isElsewhere) return NO_DATA
  const data: { -readonly [Key in keyof QueuedData]: QueuedData[Key] } = {}
  if (description !== undefined) data.description = description
  if (metadata !== undefined) data.metadata = metadata
  if (onParentEnd !== 'wait') data.onParentEnd = onParentEnd
  if (isElsewhere) data.parent = 'elsewhere'
  return data
}

/** Whether something of the task is still to be written. */
export function isOwing(log: TaskLog): boolean {
  return log.refusal === undefined && (log.isInFlight || log.pending !== undefined)
}

/** Whether what waits to be written holds an end that children come before. */
export function endsAttempt(task: LiveTask, log: TaskLog): boolean {
  return task.finalStatus !== undefined || log.pending?.some(({ type }) => type === 'task.retrying') === true
}

export function endsWithFinal(events: readonly StoredEvent[] | undefined): boolean {
  const last = events?.at(-1)
  return last !== undefined && isFinalEventType(last.type)
}

/** Whether a commit is the last of its task. */
export function isFinalCommit(commit: Commit): boolean {
  return isFinalStatus(commit.record.status)
}
