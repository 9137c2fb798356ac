/**
 * Recovers one task whose process is gone: it is closed, runs again here, or is left to others.
 *
 * 1. What is decided is written in one commit, which raises the epoch and names this node. Of several who try, one is not
 *    stale; the others do nothing.
 * 2. Nothing of a task runs before that commit is known to be kept, however long its answer takes. One that may not run here by then is
 *    this node's in the store, and is looked for there.
 * 3. No task is taken up before it is known of all its children whether they are there.
 * 4. A task that nobody asked to run again never does.
 */
import { decideRecovery, type RecoveryDecision } from '../../../machines/policies/recovery.ts'
import { isFinalStatus, LIVE_STATUSES, type StopCause, type TaskFailure } from '../../../machines/vocabulary.ts'
import { requestDelivery } from '../../delivery/entries.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { StoredEvent, TaskEventData } from '../../ports/task-event.ts'
import type { OpenQuestion, StoredRecord } from '../../ports/task-record.ts'
import type { Commit, CommitReply, TaskStore } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'
import type { Births } from '../journal/births.ts'
import type { Journal } from '../journal/journal.ts'
import type { StoreWriter } from '../journal/store-writer.ts'
import type { TaskSpec } from '../task-spec.ts'
import { createFailure } from '../values/failure.ts'

/** What a call was, so that it can be made again. */
export interface RecalledCall {
  readonly spec: TaskSpec
  readonly input: unknown
}

/** A task as it was left, with the call that made it. */
export interface Revival {
  readonly record: StoredRecord
  readonly call: RecalledCall
  /** What was asked in its earlier lives, and whether that was settled. */
  readonly asked: ReadonlyMap<string, 'settled' | OpenQuestion>
}

/** `left`: nothing was done, or it is not known yet; somebody has to look again. */
export type Recover = (orphan: StoredRecord, diedAt: number) => Promise<'done' | 'left'>

const EVENTS_PER_READ = 500
const CHILDREN_PER_READ = 100
/** So long what is written is waited for. Then others have their turn, and what follows from it comes with its answer. */
const PATIENCE_MS = 5_000
const NONE: readonly never[] = Object.freeze([])

export function createRecovery(parts: {
  readonly store: TaskStore
  /** Sends a commit until it is answered. */
  readonly write: StoreWriter['write']
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly createId: IdSource
  readonly counters: Counters
  readonly journal: Journal
  readonly births: Births
  readonly nodeId: () => string | undefined
  /** Stops a task wherever it runs. */
  readonly stop: (record: StoredRecord, cause: StopCause) => void
  /** Whether one more task may live here. */
  readonly hasRoom: () => boolean
  /** Whether what names this node may run here just now. */
  readonly mayRun: () => boolean
  /** The store has a task of this node that does not run here. */
  readonly onNotRun: () => void
  /** The call of a task, as its tool is known here; nothing when it is not, or its input does not fit any more. */
  readonly recall: (record: StoredRecord, inputJson: string) => Promise<RecalledCall | undefined>
  readonly revive: (revival: Revival) => void
}): Recover {
  const { store, clock, deadlines, counters, journal } = parts
  /** Tasks whose commits have no answer. */
  const underWay = new Set<string>()

  const isOwned = async ({ parentId }: StoredRecord): Promise<boolean> => {
    const parent = parentId === undefined ? undefined : await store.read(parentId)
    return parent !== undefined && !isFinalStatus(parent.status)
  }

  /** Has children stopped that live in this process or in others. Until they have ended, nothing is decided about their parent. */
  const stopChildren = async ({ taskId }: StoredRecord): Promise<boolean> => {
    const { records } = await store.list({ parentId: taskId, status: LIVE_STATUSES, limit: CHILDREN_PER_READ })
    const owned = records.filter(({ policy }) => policy.onParentEnd !== 'detach')
    for (const child of owned) parts.stop(child, { reason: 'parent', actor: taskId })
    return owned.length > 0
  }

  const recallCall = async (record: StoredRecord): Promise<RecalledCall | undefined> => {
    const inputJson = await store.readAttachment(record.taskId, 'input')
    return inputJson === undefined ? undefined : parts.recall(record, inputJson)
  }

  const readAsked = async ({ taskId, questions }: StoredRecord): Promise<Revival['asked']> => {
    const asked = new Map<string, 'settled' | OpenQuestion>()
    for (let afterSeq = 0; ;) {
      const entries = await store.readEvents({ taskId, afterSeq, limit: EVENTS_PER_READ })
      for (const { event } of entries) if (isAsked(event)) asked.set(event.data.key, 'settled')
      if (entries.length < EVENTS_PER_READ) break
      afterSeq = entries.at(-1)?.event.seq ?? Infinity
    }
    for (const question of questions ?? NONE) asked.set(question.key, question)
    return asked
  }

  /** `then`: what follows once it is kept. */
  const write = (
    before: StoredRecord,
    written: Pick<Commit, 'record' | 'events' | 'outbox'>,
    then: () => void,
  ): ReturnType<Recover> =>
    new Promise((resolve) => {
      const record = Object.freeze(written.record)
      const { taskId } = record
      const commit: Commit = {
        id: `${taskId}:${record.epoch}:${record.version}:${record.node ?? ''}`,
        expect: { version: before.version, epoch: before.epoch },
        trimTo: 0,
        claims: NONE,
        attachments: NONE,
        ...written,
        record,
      }
      underWay.add(taskId)
      const patience = deadlines.idleAfter(PATIENCE_MS, resolve, 'left')
      const onReply = (reply: CommitReply): void => {
        patience.disarm()
        underWay.delete(taskId)
        if (reply.kind === 'committed') {
          journal.noteCommitted(commit, reply)
          then()
        }
        resolve('done')
      }
      parts.write({ commit, onReply })
    })

  const revive = (revival: Revival): void => {
    const { node } = revival.record
    // It is another one's to look for that this process once was.
    if (node !== parts.nodeId()) return
    if (parts.mayRun()) parts.revive(revival)
    else parts.onNotRun()
  }

  /** The record as this node takes it over, without what was true of its last process only. */
  const takenOver = (record: StoredRecord): StoredRecord => {
    const { cause: _cause, dueAt: _dueAt, questions: _questions, node: _node, ...rest } = record
    const node = parts.nodeId()
    const { epoch, version } = record
    return Object.assign({}, rest, {
      caller: 'detached' as const,
      epoch: epoch + 1,
      version: version + 1,
      ...(node === undefined ? {} : { node }),
    })
  }

  const close = async (
    orphan: StoredRecord,
    as: Extract<RecoveryDecision, { kind: 'close' }>['as'],
  ): ReturnType<Recover> => {
    const endedAt = clock.now()
    const durationMs = Math.max(0, endedAt - (orphan.startedAt ?? endedAt))
    const { failure: failedBefore, ...taken } = takenOver(orphan)
    const lastSeq = orphan.lastSeq + 1
    const cause = orphan.cause ?? INTERRUPTED
    // What was stopping without a cause had failed already.
    const failure = (orphan.status === 'stopping' ? failedBefore : undefined) ?? failureOf(as, orphan)
    const record: StoredRecord =
      as === 'cancelled'
        ? Object.assign({}, taken, { status: as, endedAt, lastSeq, cause })
        : Object.assign({}, taken, { status: 'failed' as const, endedAt, lastSeq, failure }, orphan.cause && { cause })
    const event = {
      seq: lastSeq,
      at: endedAt,
      epoch: record.epoch,
      ...(as === 'cancelled'
        ? { type: 'task.cancelled', data: { durationMs, stopCause: cause } }
        : { type: 'task.failed', data: { durationMs, failure } }),
    } as StoredEvent
    const outbox = record.targets.map((target) =>
      requestDelivery({
        deliveryId: parts.createId(),
        task: record,
        target,
        kind: 'end',
        node: record.node,
        at: endedAt,
      }),
    )
    return write(orphan, { record, events: [event], outbox }, () => void (counters.closedOrphans += 1))
  }

  const resume = async (orphan: StoredRecord, call: RecalledCall): ReturnType<Recover> => {
    const taken = takenOver(orphan)
    const record = orphan.dueAt === undefined ? taken : Object.assign({}, taken, { dueAt: orphan.dueAt })
    const asked = await readAsked(orphan)
    return write(orphan, { record, events: NONE, outbox: NONE }, () => revive({ record, call, asked }))
  }

  const rerun = async (orphan: StoredRecord, call: RecalledCall, delayMs: number): ReturnType<Recover> => {
    const now = clock.now()
    const taken = takenOver(orphan)
    const { recovery } = orphan
    const lastSeq = orphan.lastSeq + 1
    const dueAt = now + delayMs
    const failure = failureOf('interrupted', orphan)
    const record: StoredRecord = Object.assign({}, taken, {
      status: 'retrying' as const,
      lastSeq,
      dueAt,
      failure,
      recovery: {
        interruptions: (recovery?.interruptions ?? 0) + 1,
        maxInterruptions: recovery?.maxInterruptions ?? 0,
        ...(recovery?.budgetReserve === undefined ? {} : { budgetReserve: recovery.budgetReserve }),
        ...(leftMsOf(orphan, now) === Infinity ? {} : { leftMs: leftMsOf(orphan, now) }),
      },
    })
    const { epoch, attempt } = record
    const event: StoredEvent = {
      seq: lastSeq,
      type: 'task.retrying',
      at: now,
      epoch,
      data: { attempt, failure, dueAt },
    }
    const asked = await readAsked(orphan)
    return write(orphan, { record, events: [event], outbox: NONE }, () => {
      counters.rerunOrphans += 1
      revive({ record, call, asked })
    })
  }

  return async (orphan, diedAt) => {
    if (underWay.has(orphan.taskId) || parts.births.isUnderWay(orphan.taskId)) return 'left'
    const now = clock.now()
    const mayRunAgain = orphan.recovery !== undefined && !(await isOwned(orphan))
    const call = mayRunAgain ? await recallCall(orphan) : undefined
    const decision = decideRecovery({
      status: orphan.status,
      stopReason: orphan.cause?.reason,
      mayRunAgain,
      canRunHere: call !== undefined,
      interruptions: orphan.recovery?.interruptions ?? 0,
      maxInterruptions: orphan.recovery?.maxInterruptions ?? 0,
      leftMs: leftMsOf(orphan, now),
      orphanedForMs: now - diedAt,
    })
    if (decision.kind === 'leave' || (await stopChildren(orphan))) return 'left'
    if (decision.kind === 'close') return close(orphan, decision.as)
    if (call === undefined || !parts.hasRoom()) return 'left'
    return decision.kind === 'resume' ? resume(orphan, call) : rerun(orphan, call, decision.delayMs)
  }
}

function isAsked(event: StoredEvent): event is StoredEvent & { readonly data: TaskEventData['task.asked'] } {
  return event.type === 'task.asked'
}

const INTERRUPTED: StopCause = Object.freeze({ reason: 'interrupted' })

function leftMsOf({ recovery }: StoredRecord, now: number): number {
  return recovery?.leftMs ?? (recovery?.hardAt === undefined ? Infinity : recovery.hardAt - now)
}

function failureOf(as: Extract<RecoveryDecision, { kind: 'close' }>['as'], { recovery }: StoredRecord): TaskFailure {
  if (as === 'timeout') return createFailure('timeout', 'The hard deadline has passed.')
  const before = recovery?.interruptions ?? 0
  const often = before === 0 ? '' : ` It had lost ${before} before.`
  return createFailure('interrupted', `The process that ran the task is gone.${often}`)
}
