/**
 * Turns what waits in the log of a task into commits, one on its way at a time, and publishes what came back.
 *
 * 1. What has a place in a feed is published after its commit.
 * 2. A task whose commit was refused has lost its record: nothing of it is written any more.
 * 3. An end is written after the ends of the children that hold it.
 */
import type { Hub } from '../../events/hub.ts'
import { createPipe } from '../../events/pipe.ts'
import { toDeliveryEvent } from '../../ports/delivery.ts'
import type { Claim, Commit, CommitReply, FeedEntry } from '../../ports/task-store.ts'
import type { Counters } from '../counters.ts'
import type { LiveTask, TaskLog } from '../live-task.ts'
import type { OnClaim } from '../task-state.ts'
import { toStoredRecord } from '../stored-record.ts'
import type { Births } from './births.ts'
import type { LogWaits } from './log-waits.ts'
import type { PendingCommit, StoreWriter } from './store-writer.ts'
import { endsAttempt, endsWithFinal, isFinalCommit, isOwing, NONE } from './task-log.ts'

const STALE = Object.freeze({ kind: 'stale' })

export interface LogWriter {
  /** Writes what waits in the log, unless something is on its way, or has to come before. */
  flush(task: LiveTask, log: TaskLog): void
  /** Takes a `concurrency` claim with the next commit, which is now. */
  claim(task: LiveTask, claim: Claim, onClaim: OnClaim): void
  /** Nothing of this task may be written any more. */
  lose(task: LiveTask): void
  /** Writes the end of a task only after all that is to be kept of a child. */
  endAfter(task: LiveTask, child: LiveTask): void
  /** Makes a commit public that was written elsewhere in this process. */
  noteCommitted(commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>): void
  /** Commits that came back, for those who act on them. */
  onCommitted(listener: (commit: Commit) => void): void
}

export function createLogWriter(parts: {
  readonly hub: Hub
  readonly writer: Pick<StoreWriter, 'write'>
  readonly counters: Counters
  readonly waits: Pick<LogWaits, 'settle' | 'giveUp'>
  readonly births: Births
  /** A commit that was on its way when its task was lost has been kept after all. */
  readonly onKeptAfterLoss: () => void
}): LogWriter {
  const { hub, writer, counters, waits, births, onKeptAfterLoss } = parts
  const appended = createPipe<PendingCommit>()
  const committed = createPipe<Commit>()
  appended.items$.subscribe((pending) => writer.write(pending))

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

  const finish = (task: LiveTask, log: TaskLog, commit: Commit, reply: CommitReply): void => {
    log.isInFlight = false
    const claim = log.onClaim === undefined ? undefined : commit.claims.find(({ kind }) => kind === 'concurrency')
    if (claim !== undefined && reply.kind === 'claimed' && reply.claim.kind === 'concurrency') {
      putBack(log, commit, claim)
      flush(task, log)
      return answerClaim(log, false, reply.taskId)
    }
    if (reply.kind === 'committed') {
      if (log.refusal !== undefined) onKeptAfterLoss()
      log.version = commit.record.version
      log.committed = commit.record
      log.committedSeq = commit.record.lastSeq
      publish(commit, reply)
      if (claim !== undefined) answerClaim(log, true)
    } else {
      // The task has lost its record, or never got one: nothing of it may be written any more.
      log.refusal = reply
      counters.refusedCommits += 1
    }
    waits.settle(log)
    if (log.refusal !== undefined) waits.giveUp(log)
    else if (!log.isStarting) flush(task, log)
    // An end may be decided and wait for its turn to be appended, when one answer of the store has led to others.
    const isEndToCome = log.refusal === undefined && task.finalStatus !== undefined && !isFinalCommit(commit)
    if (isOwing(log) || isEndToCome) return
    births.end(task)
    if (log.holds.length > 0) {
      const { holds } = log
      log.holds = NONE
      for (const above of holds) letGo(above)
    }
  }

  const publish = (commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>): void => {
    if (hub.hasListeners()) hub.publish(toFeedEntries(commit, reply))
    committed.push(commit)
  }

  const letGo = (above: LiveTask): void => {
    if (above.log === undefined) return
    above.log.heldBy -= 1
    flush(above, above.log)
  }

  return {
    flush,

    claim(task, claim, onClaim) {
      const { log } = task
      if (log === undefined || log.refusal !== undefined) return onClaim(false)
      log.claims = [...log.claims, claim]
      log.onClaim = onClaim
      flush(task, log)
    },

    lose(task) {
      const { log } = task
      if (log === undefined || log.refusal !== undefined) return
      if (log.isInFlight && log.committed === undefined) births.begin(task)
      log.refusal = STALE
      waits.giveUp(log)
    },

    endAfter(task, child) {
      if (task.log === undefined || child.log === undefined || !isOwing(child.log)) return
      if (child.log.committed === undefined) births.begin(child)
      task.log.heldBy += 1
      child.log.holds = [...child.log.holds, task]
    },

    noteCommitted: publish,

    onCommitted: (listener) => void committed.items$.subscribe(listener),
  }
}

/** Puts a commit back whose claim is taken, without that claim. */
function putBack(log: TaskLog, commit: Commit, taken: Claim): void {
  if (commit.events.length > 0) log.pending = [...commit.events, ...(log.pending ?? [])]
  if (commit.outbox.length > 0) log.outbox = commit.outbox
  if (commit.attachments.length > 0) log.attachments = commit.attachments
  log.trimTo = Math.max(log.trimTo, commit.trimTo)
  log.claims = commit.claims.filter((claim) => claim !== taken)
}

function answerClaim(log: TaskLog, isGranted: boolean, holderId?: string): void {
  const { onClaim } = log
  log.onClaim = undefined
  onClaim?.(isGranted, holderId)
}

function toFeedEntries(commit: Commit, reply: Extract<CommitReply, { kind: 'committed' }>): FeedEntry[] {
  const lines = commit.outbox.flatMap((entry) => entry.log.map((line) => toDeliveryEvent(entry, line)))
  return [...commit.events, ...lines].map((event, index) => ({
    event,
    record: commit.record,
    ownerPosition: reply.ownerPosition + index,
    position: reply.position + index,
  }))
}
