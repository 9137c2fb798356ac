/**
 * The history of tasks: it numbers what happens, has it committed, and makes it public once it is.
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
import { decideTrim } from '../../machines/policies/retention.ts'
import { isFinalStatus } from '../../machines/vocabulary.ts'
import type { Hub } from '../events/hub.ts'
import { createPipe } from '../events/pipe.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import {
  isFinalEventType,
  isFreshEventType,
  type StoredEvent,
  type TaskEventData,
  type TaskEventType,
} from '../ports/task-event.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import { toDeliveryEvent, type OutboxEntry } from '../ports/delivery.ts'
import type { Attachment, Claim, Commit, CommitReply, FeedEntry } from '../ports/task-store.ts'
import type { Settings } from '../options.ts'
import type { Counters } from './counters.ts'
import { attemptOf, epochOf, parentOf, reportedOf, type LiveTask, type OnClaim, type TaskLog } from './live-task.ts'
import { toStoredRecord } from './stored-record.ts'
import type { PendingCommit, StoreWriter } from './store-writer.ts'

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

/** Most commits have no claims, attachments and deliveries, and most first events no data: they share that they have none. */
const NONE: readonly never[] = Object.freeze([])
const NO_DATA = Object.freeze({})
const ADMITTED: AdmissionAnswer = Object.freeze({ kind: 'admitted' })
const STALE = Object.freeze({ kind: 'stale' })
const UNKNOWN: AdmissionAnswer = Object.freeze({ kind: 'unknown' })

export function createJournal(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly hub: Hub
  readonly writer: StoreWriter
  readonly settings: Settings
  readonly counters: Counters
  /** The name of this process among those that have the store, if there may be several. */
  readonly nodeId: () => string | undefined
  /** A commit that was on its way when its task was lost has been kept after all. */
  readonly onKeptAfterLoss: () => void
}): Journal {
  const { clock, deadlines, hub, writer, settings, counters } = parts
  const appended = createPipe<PendingCommit>()
  const committed = createPipe<Commit>()
  appended.items$.subscribe((pending) => writer.write(pending))

  const isWatched = (task: LiveTask): boolean =>
    task.spec.shadowOf === undefined && hub.isWatched(task.taskId, task.spec.owner)

  const number = <Type extends TaskEventType>(task: LiveTask, type: Type, data: TaskEventData[Type]): StoredEvent => {
    task.lastSeq += 1
    return { seq: task.lastSeq, type, at: clock.now(), epoch: epochOf(task), data } as StoredEvent
  }

  /** Keeps account of fresh events and says how far they have to be trimmed. */
  const accountFresh = (task: LiveTask, event: StoredEvent, chars: number): number => {
    const fresh = (reportedOf(task).fresh ??= { events: [], chars: 0 })
    fresh.events.push({ seq: event.seq, chars })
    fresh.chars += chars
    const trimTo = decideTrim(settings.retention, fresh)
    for (let oldest = fresh.events[0]; oldest !== undefined && oldest.seq <= trimTo; oldest = fresh.events[0]) {
      fresh.events.shift()
      fresh.chars -= oldest.chars
      counters.trimmedEvents += 1
    }
    return trimTo
  }

  /** Without the events that were trimmed before they were committed. */
  const trimmed = (events: StoredEvent[], trimTo: number): StoredEvent[] =>
    trimTo === 0 ? events : events.filter((event) => event.seq > trimTo || !isFreshEventType(event.type))

  const appendToDraft = (task: LiveTask, event: StoredEvent, chars: number): void => {
    if (!isRetold(task, event.type)) {
      const reported = reportedOf(task)
      const draft = (reported.draft ??= [])
      draft.push(event)
      if (isFreshEventType(event.type)) reported.draft = trimmed(draft, accountFresh(task, event, chars))
    }
    if (isWatched(task)) {
      hub.publishEphemeral({ event, record: toStoredRecord(task, 0), ownerPosition: 0, position: 0 })
    }
  }

  const settleWaiting = (log: TaskLog): void => {
    while (log.waiting[0] !== undefined && log.waiting[0].seq <= log.committedSeq) {
      const waiting = log.waiting.shift()
      waiting?.patience?.disarm()
      waiting?.onKnown(true)
    }
  }

  const giveUp = (waiting: TaskLog['waiting'][number]): void => {
    waiting.patience?.disarm()
    waiting.onKnown(false)
  }

  const tell = (commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>): void => {
    const lines = commit.outbox.flatMap((entry) => entry.log.map((line) => toDeliveryEvent(entry, line)))
    const entries = [...commit.events, ...lines].map((event, index): FeedEntry => ({
      event,
      record: commit.record,
      ownerPosition: reply.ownerPosition + index,
      position: reply.position + index,
    }))
    hub.publish(entries)
  }

  const flush = (task: LiveTask, log: TaskLog): void => {
    const isIdle = log.pending === undefined && log.outbox.length === 0 && log.claims.length === 0
    if (isIdle || log.refusal !== undefined || log.isInFlight) return
    if (log.heldBy > 0 && endsAttempt(task, log)) return
    if (task.finalStatus !== undefined && !endsWithFinal(log.pending)) return
    const record = toStoredRecord(task, log.version + 1)
    const commit: Commit = {
      // Two strings are joined instead of five: the id is held as long as the record.
      id: task.taskId + `:${record.epoch}:${record.version}`,
      expect: { version: log.version, epoch: record.epoch },
      record,
      events: log.pending ?? NONE,
      trimTo: log.trimTo,
      outbox: log.outbox,
      claims: log.claims,
      attachments: log.attachments,
    }
    log.isInFlight = true
    log.pending = undefined
    log.outbox = NONE
    log.claims = NONE
    log.attachments = NONE
    log.trimTo = 0
    appended.push({ commit, onReply: (reply) => finish(task, log, commit, reply) })
  }

  /** Whether what waits to be written holds an end that children come before. */
  const endsAttempt = (task: LiveTask, log: TaskLog): boolean =>
    task.finalStatus !== undefined || log.pending?.some(({ type }) => type === 'task.retrying') === true

  /** Puts a commit back whose claim is taken, without that claim. */
  const putBack = (log: TaskLog, commit: Commit, taken: Claim): void => {
    if (commit.events.length > 0) log.pending = [...commit.events, ...(log.pending ?? [])]
    if (commit.outbox.length > 0) log.outbox = commit.outbox
    if (commit.attachments.length > 0) log.attachments = commit.attachments
    log.trimTo = Math.max(log.trimTo, commit.trimTo)
    log.claims = commit.claims.filter((claim) => claim !== taken)
  }

  const answerClaim = (log: TaskLog, isGranted: boolean, holderId?: string): void => {
    const { onClaim } = log
    log.onClaim = undefined
    onClaim?.(isGranted, holderId)
  }

  const finish = (task: LiveTask, log: TaskLog, commit: Commit, reply: CommitReply): void => {
    log.isInFlight = false
    const claim = log.onClaim === undefined ? undefined : commit.claims.find(({ kind }) => kind === 'concurrency')
    if (claim !== undefined && reply.kind === 'claimed' && reply.claim.kind === 'concurrency') {
      putBack(log, commit, claim)
      flush(task, log)
      return answerClaim(log, false, reply.taskId)
    }
    if (reply.kind === 'committed') {
      if (log.refusal !== undefined) parts.onKeptAfterLoss()
      log.version = commit.record.version
      log.committed = commit.record
      log.committedSeq = commit.record.lastSeq
      if (hub.hasListeners()) tell(commit, reply)
      committed.push(commit)
      if (claim !== undefined) answerClaim(log, true)
    } else {
      // The task has lost its record, or never got one: nothing of it may be written any more.
      log.refusal = reply
      counters.refusedCommits += 1
    }
    settleWaiting(log)
    if (log.refusal === undefined) {
      if (!log.isStarting) flush(task, log)
    } else for (const waiting of log.waiting.splice(0)) giveUp(waiting)
    // An end may be decided and wait for its turn to be appended, when one answer of the store has led to others.
    const isEndToCome = log.refusal === undefined && task.finalStatus !== undefined && !isFinalCommit(commit)
    if (log.holds.length > 0 && !isOwing(log) && !isEndToCome) {
      const { holds } = log
      log.holds = NONE
      for (const above of holds) letGo(above)
    }
  }

  /** Whether something of the task is still to be written. */
  const isOwing = (log: TaskLog): boolean => log.refusal === undefined && (log.isInFlight || log.pending !== undefined)

  const letGo = (above: LiveTask): void => {
    if (above.log === undefined) return
    above.log.heldBy -= 1
    flush(above, above.log)
  }

  const whenKnown = (task: LiveTask, onKnown: (isSaved: boolean) => void): void => {
    const { log } = task
    if (log === undefined) return onKnown(false)
    if (log.committedSeq >= task.lastSeq && !log.isInFlight) return onKnown(true)
    if (writer.isPaused() || log.refusal !== undefined) return onKnown(false)
    const waiting: TaskLog['waiting'][number] = { seq: task.lastSeq, onKnown, patience: undefined }
    log.waiting.push(waiting)
    waiting.patience = deadlines.after(
      settings.commitWaitMs,
      () => {
        log.waiting.splice(log.waiting.indexOf(waiting), 1)
        onKnown(false)
      },
      undefined,
    )
  }

  const openLog = (task: LiveTask, pending: StoredEvent[] | undefined, claims: readonly Claim[]): TaskLog => {
    const log: TaskLog = {
      node: parts.nodeId(),
      version: 0,
      isInFlight: false,
      isStarting: false,
      refusal: undefined,
      pending,
      outbox: NONE,
      claims,
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
  const takeInput = ({ rare }: LiveTask): readonly Attachment[] => {
    const recovery = rare?.recovery
    if (recovery?.inputJson === undefined) return NONE
    const json = recovery.inputJson
    recovery.inputJson = undefined
    return [{ kind: 'input', json }]
  }

  const queuedData = ({ spec: { description, metadata, policy } }: LiveTask): TaskEventData['task.queued'] => {
    const { onParentEnd } = policy
    if (description === undefined && metadata === undefined && onParentEnd !== 'detach') return NO_DATA
    return {
      ...(description === undefined ? {} : { description }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(onParentEnd === 'detach' ? { onParentEnd } : {}),
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
    if (type === 'task.stopping' || type === 'task.retrying') flushStarts()
    const event = number(task, type, data)
    if (log === undefined) {
      appendToDraft(task, event, chars)
      return undefined
    }
    // An array that is made with its item is smaller than one that has grown.
    if (log.pending === undefined) log.pending = [event]
    else log.pending.push(event)
    if (isFreshEventType(type)) {
      log.trimTo = Math.max(log.trimTo, accountFresh(task, event, chars))
      log.pending = trimmed(log.pending, log.trimTo)
    }
    return log
  }

  const append: Journal['append'] = (task, type, data, chars) => {
    const log = note(task, type, data, chars)
    if (log !== undefined) flush(task, log)
  }

  let toFlush: LiveTask[] = []

  const flushAll = (): void => {
    const tasks = toFlush
    toFlush = []
    for (const task of tasks) if (task.log !== undefined) flush(task, task.log)
  }

  const appendSoon: Journal['appendSoon'] = (task, type, data) => {
    if (note(task, type, data) === undefined) return
    toFlush.push(task)
    if (toFlush.length === 1) clock.soon(flushAll)
  }

  let starts: LiveTask[] = []

  const flushStarts = (): void => {
    const started = starts
    starts = []
    for (const task of started) {
      if (task.log === undefined) continue
      task.log.isStarting = false
      flush(task, task.log)
    }
  }

  // Code that awaits nothing has ended after one microtask, and whoever gets the ticket goes on after more than two.
  const appendStart: Journal['appendStart'] = (task, data) => {
    if (!writer.answersLate()) return append(task, 'task.started', data)
    const log = note(task, 'task.started', data)
    if (log === undefined) return
    log.isStarting = true
    starts.push(task)
    if (starts.length === 1) queueMicrotask(() => queueMicrotask(flushStarts))
  }

  return {
    admit(task, claims, onClaim, onAnswer, onLate) {
      const log = openLog(task, [number(task, 'task.queued', queuedData(task))], claims)
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
      if (task.log === undefined) append(task, 'task.queued', isWatched(task) ? queuedData(task) : NO_DATA)
    },

    promote(task) {
      if (task.log !== undefined) return
      const events: StoredEvent[] = []
      const told = (type: TaskEventType, at: number, seq: number, data: TaskEventData[TaskEventType]): void =>
        void events.push({ seq, type, at, epoch: 1, data } as StoredEvent)
      told('task.queued', task.createdAt, 1, queuedData(task))
      if (task.startedAt !== undefined) told('task.started', task.startedAt, 2, { attempt: 1 })
      openLog(task, [...events, ...(task.reported?.draft ?? [])], [])
    },

    save(task) {
      if (task.log !== undefined) flush(task, task.log)
    },

    reopen(task, record) {
      const log = openLog(task, undefined, NONE)
      log.version = record.version
      log.committed = record
      log.committedSeq = record.lastSeq
    },

    noteCommitted(commit, reply) {
      if (hub.hasListeners()) tell(commit, reply)
      committed.push(commit)
    },

    lose({ log }) {
      if (log === undefined || log.refusal !== undefined) return
      log.refusal = STALE
      for (const waiting of log.waiting.splice(0)) giveUp(waiting)
    },

    claim(task, claim, onClaim) {
      const { log } = task
      if (log === undefined || log.refusal !== undefined) return onClaim(false)
      log.claims = [...log.claims, claim]
      log.onClaim = onClaim
      flush(task, log)
    },

    append,
    appendSoon,
    appendStart,

    appendFinal(task, type, data, outbox) {
      const { log } = task
      if (log !== undefined) {
        log.outbox = outbox
        if (task.result?.isSpilled === true) log.attachments = [{ kind: 'result', json: task.result.json }]
      }
      append(task, type, data)
    },

    whenKnown,

    endAfter(task, child) {
      if (task.log === undefined || child.log === undefined || !isOwing(child.log)) return
      task.log.heldBy += 1
      child.log.holds = [...child.log.holds, task]
    },

    isPaused: writer.isPaused,
    isFull: writer.isFull,

    onCommitted: (listener) => void committed.items$.subscribe(listener),
  }
}

/** Whether a promotion can tell the event again from what it knows, so that an ephemeral call need not keep it. */
function isRetold(task: LiveTask, type: TaskEventType): boolean {
  if (type === 'task.started') return attemptOf(task) === 1
  return type === 'task.queued' || isFinalEventType(type)
}

function endsWithFinal(events: readonly StoredEvent[] | undefined): boolean {
  const last = events?.at(-1)
  return last !== undefined && isFinalEventType(last.type)
}

/** Whether a commit is the last of its task. */
export function isFinalCommit(commit: Commit): boolean {
  return isFinalStatus(commit.record.status)
}
