/** Says what there is in the end: what is kept, what became of each delivery, what a process counts. */
import type { HistoryFact } from '../check-history.ts'
import type { Consumers } from './consumers.ts'
import { LOOK_EVERY_MS, SETTLE_MS } from './healing.ts'
import type { NodeProcess } from './process.ts'
import type { Stage } from './stage.ts'

/** After its end a task may still owe a delivery, and a process that is gone is noticed a lease later. */
const LAST_MS = 45_000
const LISTED = 1_000

export async function sumUp(stage: Stage, consumers: Consumers): Promise<void> {
  const last = await replaceAll(stage)
  consumers.followAll(last)
  await stage.pass(LOOK_EVERY_MS)
  await noteKept(stage)
  await noteCounts(stage, last)
}

/** Whatever was on its way when somebody died is seen to by one who comes after. */
async function replaceAll({ scenario, nodes, store, start, pass }: Stage): Promise<NodeProcess> {
  for (const node of nodes) node.crash(0, false)
  const last = start(nodes.length)
  nodes.splice(0, nodes.length, last)
  await pass(LAST_MS)
  const isOwing = async (): Promise<boolean> => (await store.listDeliveries({ state: 'pending', limit: 1 })).length > 0
  // The moment of the next attempt may have been kept by one whose clock was wrong.
  for (let leftMs = scenario.settleMs ?? SETTLE_MS; leftMs > 0 && (await isOwing()); leftMs -= LOOK_EVERY_MS) {
    await pass(LOOK_EVERY_MS)
  }
  return last
}

async function noteKept({ store, note }: Stage): Promise<void> {
  for (let after: number | undefined; ;) {
    const { records, next } = await store.list({ limit: LISTED, ...(after === undefined ? {} : { after }) })
    for (const { taskId, status, resultJson } of records) {
      note({ type: 'kept', taskId, status, ...(resultJson === undefined ? {} : { value: resultJson }) })
      for (const { deliveryId, state, settledAt } of await store.readOutbox(taskId)) {
        const became = state === 'delivered' ? state : settledAt === undefined ? 'owed' : 'givenUp'
        note({ type: 'delivery', deliveryId, taskId, state: became })
      }
    }
    if (next === undefined) return
    after = next
  }
}

async function noteCounts({ note, settle }: Stage, node: NodeProcess): Promise<void> {
  let said: Extract<HistoryFact, { type: 'counted' }>['byStatus'] = {}
  node.ask(
    () => node.tasks.operator.stats(),
    ({ byStatus }) => void (said = byStatus),
  )
  await settle()
  // One that says nothing, with nothing in its way, counts none.
  note({ type: 'counted', byStatus: said })
}
