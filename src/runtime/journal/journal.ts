/**
 * The history of tasks: it numbers what happens, has it committed, and makes it public once it is.
 *
 * appended here → held for a moment, or not (`held-writes`) → one commit (`log-writer`) → the store (`store-writer`) → published.
 *
 * An ephemeral call has no log. Its first start is numbered and forgotten, its fresh events and further attempts are kept
 * in a draft; a promotion writes record, start and draft in one commit. A task of record has at most one commit on its way;
 * what happens meanwhile goes into the next.
 *
 * 1. Sequence numbers of a task are gapless from 1.
 * 2. What has a place in a feed is published after its commit, in the order of its numbers.
 * 3. `whenKnown` answers after the commit, or after `commitWaitMs` with `isSaved: false`, whichever is first.
 * 4. A record says that its task has ended only in the commit that holds the terminal event.
 * 5. The end of a task, and of each attempt of it, is written after the ends of the children it owned, also when those
 *    became known unsaved.
 */
import type { Settings } from '../../settings.ts'
import type { Hub } from '../../events/hub.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import {
  isFinalEventType,
  isFreshEventType,
  type StoredEvent,
  type TaskEventData,
  type TaskEventType,
} from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { Claim, Commit, CommitReply } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'
import { reportedOf, type LiveTask, type TaskLog } from '../live-task.ts'
import type { OnClaim } from '../task-state.ts'
import { attemptOf, epochOf, parentOf } from '../task-status.ts'
import { toStoredRecord } from '../stored-record.ts'
import type { Births } from './births.ts'
import { createFreshEvents, withoutTrimmed } from './fresh-events.ts'
import { createHeldWrites } from './held-writes.ts'
import { createLogWaits } from './log-waits.ts'
import { createLogWriter } from './log-writer.ts'
import type { StoreWriter } from './store-writer.ts'
import { NO_DATA, openLog, queuedDataOf } from './task-log.ts'

/** How an admission ended. `unknown`: the store did not answer in time; `onLate` follows if it ever does. */
export type AdmissionAnswer =
  | { readonly kind: 'admitted' | 'unknown' | 'stale' }
  | Extract<CommitReply, { kind: 'claimed' }>

export interface Journal {
  /**
   * Makes the task one of record before it starts. Its first event is `task.queued`. With `onClaim`, a `concurrency`
   * claim that is taken refuses nothing: the task is admitted without it.
   */
  admit(
    task: LiveTask,
    claims: readonly Claim[],
    onClaim: OnClaim | undefined,
    onAnswer: (answer: AdmissionAnswer) => void,
    onLate: (answer: AdmissionAnswer) => void,
  ): void
  /** Numbers the birth of an ephemeral call. A task of record has been admitted with it. */
  begin(task: LiveTask): void
  /**
   * Makes an ephemeral call a task of record, with everything that has happened so far. It is written by the next
   * `append` or `save`, so that the reason of the promotion is in the same commit.
   */
  promote(task: LiveTask): void
  save(task: LiveTask): void
  /** Goes on with the log of a task that another process has begun, and this one has taken over. */
  reopen(task: LiveTask, record: StoredRecord): void
  /** Makes a commit public that was written elsewhere in this process. */
  noteCommitted(commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>): void
  /** Nothing of this task may be written any more: it belongs to another process, or soon may. */
  lose(task: LiveTask): void
  /** Takes a `concurrency` claim for a task of record. It is given back with the end of the task. */
  claim(task: LiveTask, claim: Claim, onClaim: OnClaim): void
  /** `chars`: how long the output or the payload is, which is bounded. */
  append<Type extends TaskEventType>(task: LiveTask, type: Type, data: TaskEventData[Type], chars?: number): void
  /** As `append`, but written a turn later at the earliest need: the end that mostly follows is in the same commit. */
  appendSoon<Type extends TaskEventType>(task: LiveTask, type: Type, data: TaskEventData[Type]): void
  /**
   * As `append`, but in the same commit as the end of code that has nothing to wait for. Where the store answers at once it is
   * written at once.
   */
  appendStart(task: LiveTask, data: TaskEventData['task.started']): void
  /** As `append`, for the event of the end: deliveries are requested in the same commit. */
  appendFinal<Type extends TaskEventType>(
    task: LiveTask,
    type: Type,
    data: TaskEventData[Type],
    outbox: readonly OutboxEntry[],
  ): void
  /** Writes the end of a task only after all that is to be kept of a child, whose end is public but not kept yet. */
  endAfter(task: LiveTask, child: LiveTask): void
  /** Calls back once all that was appended so far is kept, or is known to take too long. */
  whenKnown(task: LiveTask, onKnown: (isSaved: boolean) => void): void
  /** Whether the store does not answer just now. */
  isPaused(): boolean
  /** Whether more waits for the store than may. Until that changes, reports of code are dropped and counted. */
  isFull(): boolean
  /** Commits that came back, for those who act on them. */
  onCommitted(listener: (commit: Commit) => void): void
}

const ADMITTED: AdmissionAnswer = Object.freeze({ kind: 'admitted' })
const UNKNOWN: AdmissionAnswer = Object.freeze({ kind: 'unknown' })

export function createJournal(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly hub: Hub
  readonly writer: StoreWriter
  readonly births: Births
  readonly settings: Settings
  readonly counters: Counters
  /** The name of this process among those that have the store, if there may be several. */
  readonly nodeId: () => string | undefined
  /** A commit that was on its way when its task was lost has been kept after all. */
  readonly onKeptAfterLoss: () => void
}): Journal {
  const { clock, deadlines, hub, writer, settings, counters, nodeId, onKeptAfterLoss } = parts
  const fresh = createFreshEvents({ retention: settings.retention, counters })
  const waits = createLogWaits({ deadlines, writer, commitWaitMs: settings.commitWaitMs })
  const logWriter = createLogWriter({ hub, writer, counters, waits, births: parts.births, onKeptAfterLoss })
  const { flush } = logWriter
  const held = createHeldWrites({ clock, flush })
  const { whenKnown } = waits

  const isWatched = (task: LiveTask): boolean =>
    task.spec.shadowOf === undefined && hub.isWatched(task.taskId, task.spec.owner)

  const number = <Type extends TaskEventType>(task: LiveTask, type: Type, data: TaskEventData[Type]): StoredEvent => {
    task.lastSeq += 1
    return { seq: task.lastSeq, type, at: clock.now(), epoch: epochOf(task), data } as StoredEvent
  }

  const appendToDraft = (task: LiveTask, event: StoredEvent, chars: number): void => {
    if (!isRetold(task, event.type)) {
      const reported = reportedOf(task)
      const draft = (reported.draft ??= [])
      draft.push(event)
      if (isFreshEventType(event.type)) reported.draft = withoutTrimmed(draft, fresh.count(task, event, chars))
    }
    if (isWatched(task)) {
      hub.publishEphemeral({ event, record: toStoredRecord(task, 0), ownerPosition: 0, position: 0 })
    }
  }

  /** Numbers an event and puts it where it waits to be written. Gives the log it will be written to. */
  const note = <Type extends TaskEventType>(
    task: LiveTask,
    type: Type,
    data: TaskEventData[Type],
    chars = 0,
  ): TaskLog | undefined => {
    const { log } = task
    if (log === undefined && isRetold(task, type) && !isWatched(task)) {
      task.lastSeq += 1
      return undefined
    }
    if (isFreshEventType(type) && writer.isFull()) {
      counters.unsavedReports += 1
      return undefined
    }
    // What may begin nothing any more below it comes after what has begun.
    if (type === 'task.stopping' || type === 'task.retrying') held.flushStarts()
    const event = number(task, type, data)
    if (log === undefined) {
      appendToDraft(task, event, chars)
      return undefined
    }
    // An array that is made with its item is smaller than one that has grown.
    if (log.pending === undefined) log.pending = [event]
    else log.pending.push(event)
    if (isFreshEventType(type)) {
      log.trimTo = Math.max(log.trimTo, fresh.count(task, event, chars))
      log.pending = withoutTrimmed(log.pending, log.trimTo)
    }
    return log
  }

  const append: Journal['append'] = (task, type, data, chars) => {
    const log = note(task, type, data, chars)
    if (log !== undefined) flush(task, log)
  }

  return {
    admit(task, claims, onClaim, onAnswer, onLate) {
      const log = openLog(task, nodeId(), [number(task, 'task.queued', queuedDataOf(task))])
      log.claims = claims
      log.onClaim = onClaim
      // The start of the code that calls comes before.
      const parent = parentOf(task)
      if (parent?.log?.isStarting === true) flush(parent, parent.log)
      flush(task, log)
      let isAnswered = false
      const answer = (isSaved: boolean): void => {
        const verdict = log.refusal ?? (isSaved ? ADMITTED : UNKNOWN)
        if (isAnswered) return onLate(verdict)
        isAnswered = true
        if (verdict === UNKNOWN) log.waiting.push({ seq: 1, onKnown: answer, patience: undefined })
        onAnswer(verdict)
      }
      whenKnown(task, answer)
    },

    begin(task) {
      if (task.log === undefined) append(task, 'task.queued', isWatched(task) ? queuedDataOf(task) : NO_DATA)
    },

    promote(task) {
      if (task.log !== undefined) return
      const events: StoredEvent[] = []
      const told = (type: TaskEventType, at: number, seq: number, data: TaskEventData[TaskEventType]): void =>
        void events.push({ seq, type, at, epoch: 1, data } as StoredEvent)
      told('task.queued', task.createdAt, 1, queuedDataOf(task))
      if (task.startedAt !== undefined) told('task.started', task.startedAt, 2, { attempt: 1 })
      openLog(task, nodeId(), [...events, ...(task.reported?.draft ?? [])])
    },

    save(task) {
      if (task.log !== undefined) flush(task, task.log)
    },

    reopen(task, record) {
      const log = openLog(task, nodeId(), undefined)
      log.version = record.version
      log.committed = record
      log.committedSeq = record.lastSeq
    },

    append,

    appendSoon(task, type, data) {
      if (note(task, type, data) !== undefined) held.writeSoon(task)
    },

    appendStart(task, data) {
      if (!writer.answersLate()) return append(task, 'task.started', data)
      const log = note(task, 'task.started', data)
      if (log !== undefined) held.writeStart(task, log)
    },

    appendFinal(task, type, data, outbox) {
      const { log } = task
      if (log !== undefined) {
        log.outbox = outbox
        if (task.result?.isSpilled === true) log.attachments = [{ kind: 'result', json: task.result.json }]
      }
      append(task, type, data)
    },

    whenKnown,
    claim: logWriter.claim,
    lose: logWriter.lose,
    endAfter: logWriter.endAfter,
    noteCommitted: logWriter.noteCommitted,
    onCommitted: logWriter.onCommitted,
    isPaused: writer.isPaused,
    isFull: writer.isFull,
  }
}

/** Whether a promotion can tell the event again from what it knows, so that an ephemeral call need not keep it. */
function isRetold(task: LiveTask, type: TaskEventType): boolean {
  if (type === 'task.started') return attemptOf(task) === 1
  return type === 'task.queued' || isFinalEventType(type)
}
