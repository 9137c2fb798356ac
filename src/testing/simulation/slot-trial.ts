/** Whether all slots of a process are free once all tasks have ended. */
import type { Owner } from './plan.ts'
import type { NodeProcess } from './process.ts'
import type { Stage } from './stage.ts'

/** How many calls are made of one process at the same time at most, where no limit says how many may run. */
const MAX_TRIED = 8

/** Makes as many calls at the same time as may run, and notes how many begin. Awaited inline they leave no trace. */
export async function trySlots({ scenario, note, settle }: Stage, node: NodeProcess, owner: Owner): Promise<void> {
  const { maxRunning = 1, maxRunningPerOwner = maxRunning } = scenario.settings?.limits ?? {}
  const calls = Math.min(maxRunning, maxRunningPerOwner, MAX_TRIED)
  let begun = 0
  let end = (): void => undefined
  const ended = new Promise<void>((resolve) => (end = resolve))
  for (let call = 0; call < calls; call += 1) {
    const wait = async (): Promise<void> => {
      begun += 1
      await ended
    }
    node.ask(() => node.session(owner).run(wait, undefined, { inlineMs: Infinity }))
  }
  await settle()
  note({ type: 'tried', process: node.name, owner, calls, begun })
  end()
  await settle()
}
