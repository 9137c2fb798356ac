/**
 * Gives a task that was left behind its life in this process: its place, its chart where it stood, what remains of its time
 * and of its budget. Its record is this node's already.
 */
import type { Clock } from '../../ports/clock.ts'
import type { OpenQuestion } from '../../ports/task-record.ts'
import type { Budgets } from '../budgets.ts'
import type { Journal } from '../journal/journal.ts'
import { createLiveTask, rareOf, reportedOf, type LiveTask } from '../live-task.ts'
import type { SupervisorActor } from '../supervisor-actor.ts'
import type { TreeIndex } from '../tree-index.ts'
import type { Turns } from '../turns/turns.ts'
import type { Revival } from './recovery.ts'

export function createRevive(parts: {
  readonly clock: Clock
  readonly supervisor: SupervisorActor
  readonly tree: TreeIndex
  readonly journal: Journal
  readonly turns: Turns
  readonly budgets: Budgets
  /** Starts a task that was queued. */
  readonly start: (task: LiveTask) => void
  /** Has a task try again that was between two attempts, or is so now. */
  readonly tryAgain: (task: LiveTask, lost: { readonly attempt: number; readonly dueAt: number }) => void
}): (revival: Revival) => void {
  const { supervisor, tree, journal, turns, budgets } = parts

  return ({ record, call, asked }) => {
    const { taskId, owner, rootId, depth, createdAt, parentId, correlation } = record
    const task = createLiveTask({
      taskId,
      spec: call.spec,
      input: call.input,
      above: tree.requireOwner(owner),
      parentId,
      rootId,
      depth,
      correlation,
      createdAt,
      caller: 'detached',
    })
    task.startedAt = record.startedAt
    task.failure = record.failure
    task.lastSeq = record.lastSeq
    if (record.progress !== undefined || record.usage !== undefined) {
      Object.assign(reportedOf(task), { progress: record.progress, usage: record.usage })
    }
    restoreRare(task, { record, call, asked })
    if (record.budget !== undefined) budgets.restore(task, record.budget, record.recovery?.budgetReserve ?? 0)
    journal.reopen(task, record)
    tree.link(task)
    supervisor.register(task)
    if (record.status === 'queued') {
      turns.enter(task, false)
      parts.start(task)
    } else parts.tryAgain(task, { attempt: record.attempt, dueAt: record.dueAt ?? parts.clock.now() })
  }
}

function restoreRare(task: LiveTask, { record, asked }: Revival): void {
  const rare = rareOf(task)
  const open = [...asked].flatMap(([key, question]): [string, OpenQuestion][] =>
    question === 'settled' ? [] : [[key, question]],
  )
  rare.recovery = {
    inputJson: undefined,
    interruptions: record.recovery?.interruptions ?? 0,
    epochsAhead: record.epoch - record.attempt,
    carried: new Map(open),
    needsTurn: record.status !== 'queued',
  }
  if (asked.size > 0) {
    const settled = [...asked].filter(([, question]) => question === 'settled')
    rare.questions = { open: new Map(), states: new Map(settled.map(([key]) => [key, 'answered'])) }
  }
  const leftMs = record.recovery?.leftMs
  if (leftMs !== undefined && record.startedAt !== undefined) rare.stood = { leftMs, wentOnAt: undefined }
}
