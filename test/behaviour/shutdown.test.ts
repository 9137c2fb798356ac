import { callbackChannel, createTaskSupervisor, isTaskError, memoryStore, type ShutdownReport } from 'outlive'
import { controllableTool, createManualClock, sequentialIds } from 'outlive/testing'
import { expect, inject, test } from 'vitest'
import { breachesOf, createBranches, KEEP_ALL, wholeLog, codeOf } from '../support/branches.ts'
import { setupBreakable } from '../support/breakable-store.ts'
import { setup, watch } from '../support/setup.ts'

test('a shutdown lets live tasks end by themselves and says how many did', async () => {
  const { ann, tasks, settle, clock } = setup()
  const work = controllableTool<number>('work')
  const handles = [await ann.spawn(work.tool, 0), await ann.spawn(work.tool, 1)]
  const call = watch(ann.run(work.tool, 2))
  await settle()
  const report = watch(tasks.shutdown())
  work.call(0).resolve('value')
  work.call(1).reject(new Error('on its own'))
  work.call(2).resolve('inline')
  await settle()
  expect(report.value).toEqual({ completed: 3, cancelled: 0, handedBack: 0, abandoned: 0, unsaved: 0, undelivered: 0 })
  expect(call.value).toMatchObject({ kind: 'inline', value: 'inline' })
  expect(await Promise.all(handles.map(async (handle) => (await handle.record()).status))).toEqual([
    'completed',
    'failed',
  ])
  expect(clock.heldTimerCount()).toBe(0)
})

test('what is left after the grace is cancelled with the cause shutdown, leaves first', async () => {
  const harness = setup({ retention: KEEP_ALL })
  const { ann, tasks, settle, advance } = harness
  const branches = createBranches()
  const root = await ann.spawn(branches.tool, [2, 2])
  await settle()
  const report = watch(tasks.shutdown({ graceMs: 3_000 }))
  await advance(2_999)
  expect(report.state).toBe('pending')
  expect(branches.signalled).toEqual([])
  await advance(1)
  expect(report.value).toEqual({ completed: 0, cancelled: 7, handedBack: 0, abandoned: 0, unsaved: 0, undelivered: 0 })
  expect(branches.signalled.map((taskId) => branches.byId.get(taskId)?.ctx.depth)).toEqual([2, 2, 2, 2, 1, 1, 0])
  expect((await root.record()).cause).toEqual({ reason: 'shutdown' })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a child that never stops is abandoned after its own limit and holds nobody else up', async () => {
  const harness = setup({ graceMs: 5_000, retention: KEEP_ALL })
  const { ann, tasks, settle, advance, logged } = harness
  const deaf = controllableTool('deaf')
  const polite = controllableTool('polite', { honoursSignal: true })
  const parent = await ann.spawn(polite.tool, undefined)
  const child = await polite.call(0).ctx.spawn(deaf.tool, undefined)
  const other = await ann.spawn(polite.tool, undefined)
  await settle()
  const report = watch(tasks.shutdown({ graceMs: 1_000 }))
  await advance(1_000)
  expect((await other.record()).status).toBe('cancelled')
  expect((await parent.record()).status).toBe('stopping')
  await advance(5_000)
  expect(report.value).toEqual({ completed: 0, cancelled: 3, handedBack: 0, abandoned: 1, unsaved: 0, undelivered: 0 })
  expect(await child.record()).toMatchObject({ status: 'cancelled', abandoned: true })
  expect((await parent.record()).abandoned).toBeUndefined()
  expect(logged).toMatchObject([{ level: 'warn', fields: { taskId: child.taskId, tool: 'deaf', reason: 'parent' } }])
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('siblings are stopped in the reverse order of their start', async () => {
  const { ann, tasks, settle, advance } = setup()
  const work = controllableTool<string>('work', { honoursSignal: true })
  const stopped: string[] = []
  for (const name of ['first', 'second', 'third']) await ann.spawn(work.tool, name)
  await settle()
  await work.call(1).ctx.spawn(work.tool, 'below the second')
  await settle()
  for (const { ctx, input } of work.calls) ctx.signal.addEventListener('abort', () => stopped.push(input))
  const report = watch(tasks.shutdown({ graceMs: 1_000 }))
  await advance(1_000)
  expect(report.value?.cancelled).toBe(4)
  expect(stopped).toEqual(['below the second', 'third', 'second', 'first'])
})

test('the report counts tasks that were live at the start as ended, whatever starts below them meanwhile', async () => {
  const { ann, tasks, advance, settle } = setup()
  const quick = controllableTool('quick')
  const parent = controllableTool('parent', { honoursSignal: true })
  const child = controllableTool<number>('child', { honoursSignal: true })
  await ann.spawn(quick.tool, undefined)
  await ann.spawn(parent.tool, undefined)
  const report = watch(tasks.shutdown({ graceMs: 1_000 }))
  await parent.call(0).ctx.spawn(child.tool, 0)
  await parent.call(0).ctx.spawn(child.tool, 1)
  quick.call(0).resolve(1)
  await settle()
  await advance(1_000)
  expect(report.value).toEqual({ completed: 1, cancelled: 3, handedBack: 0, abandoned: 0, unsaved: 0, undelivered: 0 })
})

test('while it drains, new roots are refused and live tasks may still have children', async () => {
  const { ann, tasks, settle } = setup()
  const parent = controllableTool('parent')
  await ann.spawn(parent.tool, undefined)
  const report = watch(tasks.shutdown())
  const quick = async (): Promise<string> => 'child'
  await expect(ann.run(quick, undefined)).rejects.toMatchObject({ code: 'supervisor_closed' })
  await expect(ann.spawn(quick, undefined)).rejects.toMatchObject({ code: 'supervisor_closed' })
  const child = await parent.call(0).ctx.spawn(quick, undefined)
  expect(await child.result()).toBe('child')
  parent.call(0).resolve(1)
  await settle()
  expect(report.value).toMatchObject({ completed: 1, cancelled: 0 })
  await expect(ann.run(quick, undefined)).rejects.toMatchObject({ code: 'supervisor_closed' })
})

test('a second shutdown gives the same promise, while it runs and after it', async () => {
  const { ann, tasks, settle } = setup()
  const work = controllableTool('work')
  await ann.spawn(work.tool, undefined)
  const first = tasks.shutdown()
  const second = tasks.shutdown({ graceMs: 1 })
  expect(second).toBe(first)
  work.call(0).resolve(1)
  await settle()
  const report = await first
  expect(report.completed).toBe(1)
  expect(tasks.shutdown()).toBe(first)
  await tasks[Symbol.asyncDispose]()
})

test('a shutdown of an idle or unused supervisor ends at once, with nothing counted', async () => {
  const { tasks, clock } = setup()
  expect(await tasks.shutdown()).toEqual({
    completed: 0,
    cancelled: 0,
    handedBack: 0,
    abandoned: 0,
    unsaved: 0,
    undelivered: 0,
  })
  expect(clock.heldTimerCount()).toBe(0)
})

test('a task’s own code cannot shut its supervisor down', async () => {
  const { ann, tasks, settle } = setup()
  const task = await ann.spawn(async () => tasks.shutdown().catch(codeOf))
  await settle()
  expect(await task.result()).toBe('not_allowed')
  expect(await (await ann.spawn(async () => 'still open')).result()).toBe('still open')
})

test('bad shutdown options are a TypeError and nothing stops', async () => {
  const { ann, tasks } = setup()
  for (const graceMs of [0, -1, Number.NaN, Infinity, '5' as unknown as number]) {
    await expect(tasks.shutdown({ graceMs })).rejects.toThrow(/graceMs must be a positive number/)
  }
  await expect(tasks.shutdown({ timeoutMs: 5 } as never)).rejects.toThrow(TypeError)
  await expect(ann.run(async () => 1, undefined)).resolves.toMatchObject({ value: 1 })
})

test('no timer is left after a shutdown, whatever was armed', async () => {
  const { ann, tasks, clock, settle, advance } = setup()
  const deaf = controllableTool<number>('deaf')
  for (let index = 0; index < 80; index += 1) await ann.spawn(deaf.tool, index, { timeoutMs: 1_000_000 + index })
  const waits = [watch(ann.waitAny(deaf.calls.map(({ ctx }) => ctx.taskId))), watch(ann.run(deaf.tool, 80))]
  await settle()
  deaf.call(0).ctx.progress(0.1)
  deaf.call(0).ctx.progress(0.2)
  const report = watch(tasks.shutdown({ graceMs: 1_000 }))
  await advance(20_000)
  expect(report.value).toMatchObject({ cancelled: 81, abandoned: 81 })
  expect(waits.map(({ state }) => state)).toEqual(['resolved', 'rejected'])
  expect(clock.timerCount()).toBe(0)
  expect(clock.heldTimerCount()).toBe(0)
})

test('during a storm of calls each is either refused or tracked to its end', async () => {
  const { ann, tasks, settle, advance } = setup({ retention: KEEP_ALL })
  const work = { name: 'work', run: async (n: number): Promise<number> => n }
  const submits: ReturnType<typeof watch>[] = []
  let report: ReturnType<typeof watch<ShutdownReport>> | undefined
  for (let index = 0; index < 300; index += 1) {
    if (index === 150) report = watch(tasks.shutdown())
    submits.push(watch<unknown>(index % 2 === 0 ? ann.spawn(work, index) : ann.run(work, index, { name: `n${index}` })))
    if (index % 10 === 0) await Promise.resolve()
    if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await settle()
  await advance(20_000)
  expect(report?.state).toBe('resolved')
  const refused = submits.filter(({ error }) => isTaskError(error, 'supervisor_closed'))
  const taken = submits.filter(({ state }) => state === 'resolved')
  expect(refused.length + taken.length).toBe(300)
  expect([refused.length, taken.length]).toEqual([150, 150])
  const kept = await ann.list({ limit: 1_000 })
  expect(kept.tasks).toHaveLength(150)
  expect(kept.tasks.every(({ status }) => status === 'completed')).toBe(true)
})

test('a shutdown while the store is down ends in bounded time and counts what is not saved', async () => {
  const { ann, tasks, advance, store, clock } = setupBreakable({ commitWaitMs: 2_000, graceMs: 5_000 })
  const branches = createBranches()
  await ann.spawn(branches.tool, [2])
  await advance(1)
  store.break('hanging')
  const lost = watch(ann.spawn(branches.tool, []))
  const report = watch(tasks.shutdown({ graceMs: 1_000 }))
  await advance(1_000 + 5_000 + 4 * 2_000)
  expect(report.value?.cancelled).toBeGreaterThanOrEqual(3)
  expect(report.value?.unsaved).toBeGreaterThan(0)
  expect(isTaskError(lost.error, 'store_unavailable')).toBe(true)
  expect(clock.heldTimerCount()).toBe(0)
})

test('a spawn refused for want of the store does not hold up a later shutdown', async () => {
  const { ann, tasks, advance, store } = setupBreakable()
  store.break('hanging')
  const lost = watch(ann.spawn(async () => 1))
  await advance(2_000)
  expect(lost.error).toMatchObject({ code: 'store_unavailable' })
  const report = watch(tasks.shutdown({ graceMs: 1_000 }))
  await advance(2_000)
  expect(report.value).toMatchObject({ completed: 0, cancelled: 0, unsaved: 1 })
})

test('await using shuts the supervisor down at the end of its block', async () => {
  const clock = createManualClock()
  const work = controllableTool('work', { honoursSignal: true })
  const tasks = createTaskSupervisor({ clock, createId: sequentialIds(), memoise: inject('memoise') })
  const task = await tasks.spawn(work.tool, undefined)
  const block = watch(
    (async () => {
      await using inBlock = tasks
      expect(await inBlock.hasRunning()).toBe(true)
    })(),
  )
  await clock.advance(5_000)
  expect(block.state).toBe('resolved')
  expect((await task.record()).cause).toEqual({ reason: 'shutdown' })
  expect(clock.timerCount()).toBe(0)
})

test.each([
  { how: 'rejects', close: () => Promise.reject(new Error('no more')) },
  {
    how: 'throws',
    close: () => {
      throw new Error('no more')
    },
  },
])('a store whose close $how is logged, and the report is given all the same', async ({ close }) => {
  const { ann, tasks, logged, advance } = setup({ store: { ...memoryStore(), close } })
  expect(await (await ann.spawn(async () => 1)).result()).toBe(1)
  const closing = watch(tasks.shutdown())
  await advance(0)
  expect(closing.value).toEqual({ completed: 0, cancelled: 0, handedBack: 0, abandoned: 0, unsaved: 0, undelivered: 0 })
  expect(logged).toEqual([
    { level: 'error', fields: { error: new Error('no more') }, message: 'the store could not be closed' },
  ])
})

test.each([
  { how: 'rejects', settle: (reject: (error: Error) => void) => reject(new Error('gave up')) },
  { how: 'resolves', settle: (_reject: unknown, resolve: () => void) => resolve() },
])('a delivery under way when the time is over gets its signal and stays pending, if it $how then too', async (how) => {
  const signals: AbortSignal[] = []
  const slow = callbackChannel(({ signal }) => {
    signals.push(signal)
    return new Promise((resolve, reject) => signal.addEventListener('abort', () => how.settle(reject, resolve)))
  })
  const { ann, tasks, logged, advance } = setup({ channels: { slow } })
  const task = await ann.spawn(async () => 'the report', undefined, { deliverTo: 'slow' })
  await task.wait()
  const closing = watch(tasks.shutdown())
  await advance(1_999)
  expect([closing.state, signals.map(({ aborted }) => aborted)]).toEqual(['pending', [false]])
  await advance(1)
  expect(closing.value).toMatchObject({ unsaved: 0, undelivered: 1 })
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  expect(await ann.deliveries(task.taskId)).toMatchObject([{ state: 'pending' }])
  expect(logged).toMatchObject([{ level: 'error', fields: { count: 1 } }])
})

// What hangs, with when commits begin to. The bound is the grace of the shutdown, that of the supervisor, and four times
// the wait for the store.
const BOUND_MS = 3_000 + 5_000 + 4 * 2_000
test.each([
  { what: 'nothing', takesMs: 0 },
  { what: 'the close', takesMs: 2_000 },
  { what: 'a channel', takesMs: 2_000 },
  { what: 'a channel and the close', takesMs: 4_000 },
  { what: 'a polite task', takesMs: 3_000 },
  { what: 'a deaf task', takesMs: 8_000 },
  { what: 'a deaf task, a channel and the close', takesMs: 12_000 },
  { what: 'a polite task, commits, a channel and the close', commitsFromMs: 0, takesMs: 9_000 },
  { what: 'a deaf task, commits, a channel and the close', commitsFromMs: 0, takesMs: 12_000 },
  { what: 'a deaf task, late commits, a channel and the close', commitsFromMs: 7_999, takesMs: 14_000 },
])('a shutdown in which $what hangs takes $takesMs ms, which is in its bound', async (hanging) => {
  const { what, commitsFromMs, takesMs } = hanging
  const never = (): Promise<never> => new Promise(() => undefined)
  const { tasks, ann, store, clock, advance } = setupBreakable({
    commitWaitMs: 2_000,
    graceMs: 5_000,
    channels: { slow: callbackChannel(what.includes('channel') ? never : () => undefined) },
    close: what.includes('the close') ? never : undefined,
  })
  await (await ann.spawn(async () => 1, undefined, { deliverTo: 'slow' })).wait()
  const branches = createBranches({ ignoresSignal: what.includes('deaf') })
  if (what.includes('task')) await ann.spawn(branches.tool, [2, 1])
  await advance(0)
  const report = watch(tasks.shutdown({ graceMs: 3_000 }))
  await advance(commitsFromMs ?? 0)
  if (commitsFromMs !== undefined) store.break('hanging')
  if (takesMs > 0) {
    await advance(takesMs - 1 - (commitsFromMs ?? 0))
    expect(report.state).toBe('pending')
    await advance(1)
  }
  expect(report.state).toBe('resolved')
  expect(takesMs).toBeLessThanOrEqual(BOUND_MS)
  expect(clock.timerCount()).toBe(0)
})
