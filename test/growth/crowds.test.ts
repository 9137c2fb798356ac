import { createTaskSupervisor, isTaskEvent, type TaskContext, type TaskSupervisor } from 'outlive'
import { afterEach, expect, test } from 'vitest'
import { expectGrowth, processorMs } from './growth-ratio.ts'

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Crowd {
  readonly tasks: TaskSupervisor
  /** Of its live tasks, in the order of their starts. */
  readonly contexts: readonly TaskContext[]
}

const crowds: Crowd[] = []
afterEach(async () => {
  for (const { tasks } of crowds.splice(0)) await tasks.shutdown({ graceMs: 1 })
})

/** A supervisor with so many live tasks. */
async function createCrowd(count: number): Promise<Crowd> {
  const logger = { warn: () => undefined, error: () => undefined }
  const tasks = createTaskSupervisor({ inlineMs: Infinity, graceMs: 1, limits: { maxLive: Infinity }, logger })
  const contexts: TaskContext[] = []
  const never = (_: undefined, ctx: TaskContext): Promise<never> => {
    contexts.push(ctx)
    return new Promise(() => undefined)
  }
  for (let n = 0; n < count; n += 1) tasks.run(never).catch(() => undefined)
  while (contexts.length < count) await nextTurn()
  const crowd = { tasks, contexts }
  crowds.push(crowd)
  return crowd
}

test('a quick call takes less than 1.5 times as long while 100,000 tasks live as while 1,000 do', async () => {
  const few = await createCrowd(1_000)
  const many = await createCrowd(100_000)
  const plusOne = (n: number): number => n + 1
  const call = async ({ tasks }: Crowd): Promise<void> => {
    let sum = 0
    for (let n = 0; n < 10_000; n += 1) {
      const outcome = await tasks.run(plusOne, n)
      if (outcome.kind === 'inline') sum += outcome.value
    }
    expect(sum).toBe(50_005_000)
  }
  await expectGrowth({ size: 1_000, times: 100, below: 1.5 }, async (live) => [
    await processorMs(() => call(live === 1_000 ? few : many)),
  ])
})

test('an event that one consumer hears takes less than 5 times as long while 1,000 watch other tasks as while none does', async () => {
  const few = await createCrowd(1_000)
  const many = await createCrowd(1_000)
  let heard = 0
  const watch = async ({ tasks, contexts }: Crowd, watchers: number): Promise<void> => {
    for (const { taskId } of contexts.slice(0, watchers))
      tasks.events$({ taskId }).subscribe((item) => void (heard += isTaskEvent(item) ? 1 : 0))
    // What was before is looked up first.
    await nextTurn()
  }
  await watch(few, 1)
  await watch(many, 1_000)
  const talk = async ({ contexts }: Crowd): Promise<void> => {
    heard = 0
    for (let n = 0; n < 10_000; n += 1) contexts[0]?.emit('tick', n)
    expect(heard).toBe(10_000)
  }
  await expectGrowth({ size: 1, times: 1_000, below: 5 }, async (watchers) => [
    await processorMs(() => talk(watchers === 1 ? few : many)),
  ])
})
