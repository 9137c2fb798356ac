/** Nothing goes wrong any more: what is under way comes to its end, as far as it does. */
import { isFinalStatus, LIVE_STATUSES, type TaskStatus } from '../../../machines/vocabulary.ts'
import type { NodeProcess } from './process.ts'
import { trySlots } from './slot-trial.ts'
import type { Stage } from './stage.ts'

/** So much time passes between two looks at whether all has ended. */
export const LOOK_EVERY_MS = 2_500
/** How long everything may take to end, where the scenario says nothing. */
export const SETTLE_MS = 600_000
const LISTED = 1_000

/** Notes what is stuck; else whether all slots are free. */
export async function heal(stage: Stage): Promise<void> {
  const { scenario, nodes, store, note, pass } = stage
  stage.failSends([])
  for (const node of nodes) node.heal()
  restartDead(stage)
  // What waits for the store to answer again is in nobody's count.
  await pass(LOOK_EVERY_MS)
  restartDead(stage)
  for (
    let leftMs = scenario.settleMs ?? SETTLE_MS;
    leftMs > 0 && (await isAnythingLive(stage));
    leftMs -= LOOK_EVERY_MS
  ) {
    await pass(LOOK_EVERY_MS)
    // One that was told to stop may have ended only now.
    restartDead(stage)
  }
  const { records } = await store.list({ status: LIVE_STATUSES, limit: LISTED })
  for (const { taskId, status } of records) note({ type: 'stuck', taskId, status })
  if (records.length > 0) return
  // One that was taken for dead sees by now what has become of its tasks.
  await pass(LOOK_EVERY_MS)
  for (const node of nodes) {
    if (node.clock.state() !== 'running' || node.isStopping()) continue
    await trySlots(stage, node, 'ann')
    await trySlots(stage, node, 'bob')
  }
}

function restartDead({ nodes, start }: Stage): void {
  for (const [index, node] of nodes.entries()) if (node.clock.state() === 'dead') nodes[index] = start(index)
}

/**
 * Whether anything lives, in the store or in a process alone, as calls do that somebody still awaits. A process that cannot
 * say so yet is no empty one: one that opens or ends, one that has no lease, one whose store has not answered.
 */
async function isAnythingLive({ nodes, store, settle }: Stage): Promise<boolean> {
  let live = 0
  for (const [status, count] of Object.entries(await store.count(undefined))) {
    if (!isFinalStatus(status as TaskStatus)) live += count
  }
  for (const node of nodes) {
    node.ask(
      () => node.tasks.operator.stats(),
      (stats) => void (live += stats.live),
    )
  }
  await settle()
  return live > 0 || !nodes.every(isThrough)
}

/** Whether all it has done is in the store, and nothing keeps it from saying what it does. */
function isThrough({ clock, tasks }: NodeProcess): boolean {
  const { isReady, unsaved } = tasks.operator.health()
  return clock.state() === 'dead' || (isReady && unsaved === 0)
}
