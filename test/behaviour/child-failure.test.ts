import { isTaskError, type TaskFailedError } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { breachesOf, wholeLog } from '../support/branches.ts'
import { setup, watch, type Harness } from '../support/setup.ts'

/** A parent that lets a failure pass or not, with three running children. */
async function family({ ann, settle }: Harness, onChildFailure: 'isolate' | 'fail') {
  const parent = controllableTool('parent', { honoursSignal: true, policy: { onChildFailure } })
  const child = controllableTool<number>('child', { honoursSignal: true })
  const root = await ann.spawn(parent.tool, undefined)
  for (const index of [0, 1, 2]) await parent.call(0).ctx.spawn(child.tool, index)
  await settle()
  return { root, parent: parent.call(0), children: child.calls }
}

test('isolate: a child that fails touches neither its siblings nor its parent', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, 'isolate')
  children[1]?.reject(new Error('broken'))
  await settle()
  expect((await ann.stats()).byStatus).toEqual({ running: 3, failed: 1 })
  expect([parent, children[0], children[2]].map((call) => call?.ctx.signal.aborted)).toEqual([false, false, false])
  children[0]?.resolve(1)
  children[2]?.resolve(1)
  parent.resolve('value')
  expect(await root.result()).toBe('value')
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('a child that throws before it awaits anything is isolated as well', async () => {
  const { ann, settle } = setup()
  const root = await ann.spawn(async (_: undefined, ctx) => {
    const child = await ctx.spawn({
      name: 'thrower',
      run: () => {
        throw new Error('at once')
      },
    })
    return (await child.wait()).failure?.message
  })
  await settle()
  expect(await root.result()).toBe('at once')
})

test('fail: a child that fails fails its parent, its siblings are cancelled first', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, 'fail')
  children[1]?.reject(new TypeError('broken'))
  await settle()
  const failed = children[1]?.ctx.taskId ?? ''
  expect(await root.record()).toMatchObject({
    status: 'failed',
    cause: { reason: 'child_failed', actor: failed },
    failure: {
      code: 'child_failed',
      cause: { code: 'tool_error', name: 'TypeError', message: 'broken' },
    },
  })
  expect(parent.ctx.signal.reason).toMatchObject({ stopCause: { reason: 'child_failed', actor: failed } })
  for (const index of [0, 2]) {
    expect(children[index]?.ctx.signal.reason).toMatchObject({ stopCause: { reason: 'parent', actor: root.taskId } })
  }
  expect((await ann.stats()).byStatus).toEqual({ failed: 2, cancelled: 2 })
  expect(breachesOf(await wholeLog(harness))).toEqual([])
})

test('fail goes up the tree as far as the policy says, with the whole chain of causes', async () => {
  const { ann, settle } = setup()
  const leaf = controllableTool('leaf')
  const failing = { onChildFailure: 'fail' } as const
  const middle = {
    name: 'middle',
    policy: failing,
    run: async (_: undefined, ctx: { spawn: typeof ann.spawn }) => void (await ctx.spawn(leaf.tool, undefined)),
  }
  const top = {
    name: 'top',
    policy: failing,
    run: async (_: undefined, ctx: { spawn: typeof ann.spawn }) => void (await ctx.spawn(middle)),
  }
  const seen: unknown[] = []
  const root = await ann.spawn(async (_: undefined, ctx) => {
    const child = await ctx.spawn(top)
    seen.push((await child.wait()).failure)
    return 'the isolating root goes on'
  })
  await settle()
  leaf.call(0).reject(new Error('at the bottom'))
  expect(await root.result()).toBe('the isolating root goes on')
  expect(seen).toMatchObject([
    { code: 'child_failed', cause: { code: 'child_failed', cause: { code: 'tool_error', message: 'at the bottom' } } },
  ])
})

test('a finishing parent fails when the child it waits for does', async () => {
  const harness = setup()
  const { root, parent, children } = await family(harness, 'fail')
  parent.resolve('value')
  await harness.settle()
  expect((await root.record()).status).toBe('finishing')
  children[0]?.resolve(1)
  children[2]?.reject(new Error('broken'))
  await harness.settle()
  expect(await root.record()).toMatchObject({ status: 'failed', failure: { code: 'child_failed' } })
  expect(children[1]?.ctx.signal.aborted).toBe(true)
  const error = (await root.result().catch((thrown: unknown) => thrown)) as TaskFailedError
  expect(isTaskError(error, 'task_failed')).toBe(true)
  expect(error.failure.cause?.message).toBe('broken')
})

test('a child that is cancelled has not failed: its parent goes on', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const { root, parent, children } = await family(harness, 'fail')
  await ann.cancel(children[0]?.ctx.taskId ?? '')
  await settle()
  expect((await root.record()).status).toBe('running')
  expect(parent.ctx.signal.aborted).toBe(false)
})

test('a child that runs out of time fails its parent with the timeout as the cause', async () => {
  const { ann, advance } = setup()
  const child = controllableTool('child', { honoursSignal: true, policy: { timeoutMs: 1_000 } })
  const parent = controllableTool('parent', { honoursSignal: true, policy: { onChildFailure: 'fail' } })
  const root = await ann.spawn(parent.tool, undefined)
  await parent.call(0).ctx.spawn(child.tool, undefined)
  await advance(1_000)
  expect(await root.record()).toMatchObject({
    status: 'failed',
    failure: { code: 'child_failed', cause: { code: 'timeout' } },
  })
})

test('two children that fail at the same moment fail their parent once, with the first as the cause', async () => {
  const harness = setup()
  const { root, children } = await family(harness, 'fail')
  children[2]?.reject(new Error('first'))
  children[0]?.reject(new Error('second'))
  await harness.settle()
  expect((await root.record()).failure?.cause?.message).toBe('first')
  const log = await wholeLog(harness)
  expect(log.filter((item) => item.type === 'task.failed' && item.taskId === root.taskId)).toHaveLength(1)
  expect(breachesOf(log)).toEqual([])
})

test('a detached child that fails later does not reach its former parent', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child', { policy: { onParentEnd: 'detach' } })
  const waiting = controllableTool('waiting')
  const root = await ann.spawn({
    name: 'parent',
    policy: { onChildFailure: 'fail' },
    run: async (_: undefined, ctx) => {
      await ctx.spawn(child.tool, undefined)
      await ctx.spawn(waiting.tool, undefined)
    },
  })
  await settle()
  expect((await root.record()).status).toBe('finishing')
  child.call(0).reject(new Error('broken'))
  await settle()
  expect((await root.record()).status).toBe('finishing')
  waiting.call(0).resolve(1)
  await settle()
  expect((await root.record()).status).toBe('completed')
})

test('a child that fails in a tree already cancelled leaves no failure on its parent', async () => {
  const { ann, settle } = setup()
  const child = controllableTool<number>('child')
  const parent = controllableTool('parent', { policy: { onChildFailure: 'fail' } })
  const root = await ann.spawn(parent.tool, undefined)
  for (let index = 0; index < 2_050; index += 1) await parent.call(0).ctx.spawn(child.tool, index)
  await settle()
  const cancelled = watch(root.cancel())
  // Not signalled yet: its failure is its own, and comes after the cancel was accepted.
  const early = child.calls.find(({ ctx }) => !ctx.signal.aborted)
  expect(early).toBeDefined()
  early?.reject(new Error('on its own'))
  await Promise.resolve()
  await Promise.resolve()
  for (const call of child.calls) call.resolve(1)
  await settle()
  expect(parent.call(0).ctx.signal.aborted).toBe(true)
  parent.call(0).resolve(1)
  await settle()
  expect(cancelled.value?.tasks.filter(({ status }) => status === 'failed')).toEqual([
    { taskId: early?.ctx.taskId, status: 'failed' },
  ])
  const record = await root.record()
  expect(record).toMatchObject({ status: 'cancelled', cause: { reason: 'user' } })
  expect(record.failure).toBeUndefined()
})

test('a parent may catch the failure of a child it awaits and go on under isolate', async () => {
  const { ann, settle } = setup()
  const child = controllableTool('child')
  const root = await ann.spawn(async (_: undefined, ctx) => {
    const outcome = await ctx.run(child.tool, undefined).catch((error: unknown) => error)
    return outcome instanceof RangeError ? 'caught as it is' : 'something else'
  })
  await settle()
  child.call(0).reject(new RangeError('broken'))
  expect(await root.result()).toBe('caught as it is')
})
