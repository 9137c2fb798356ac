import { createTaskSupervisor, memoryStore, type TaskStore, type TaskSupervisorOptions } from 'outlive'
import {
  controllableTool,
  createManualClock,
  faultyStore,
  lateStore,
  sequentialIds,
  type FaultPlan,
  type StoreFault,
} from 'outlive/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scriptedChannel } from '../../support/scripted-channel.ts'
import { isLateStore, seededRandom, watch } from '../../support/setup.ts'

type Options = Omit<TaskSupervisorOptions, 'store' | 'clock' | 'createId'>

/** A store that one process at a time has for itself: one that is gone, and the one that comes after it. */
function setupLeft() {
  const inner: TaskStore = { ...memoryStore(), durability: 'process', close: () => undefined }
  const createId = sequentialIds()
  const lates: { pendingCount(): number }[] = []
  const settle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3;) {
      await new Promise((resolve) => setImmediate(resolve))
      const isQuiet = lates.every((late) => late.pendingCount() === 0) && clock.pendingTurns() === 0
      quiet = isQuiet ? quiet + 1 : 0
    }
  }
  const clock = createManualClock({ settle })
  const again = controllableTool<string, string>('again', { policy: { recovery: 'rerun' }, honoursSignal: true })
  const once = controllableTool<string, string>('once')
  const logged: string[] = []
  const start = (plan: FaultPlan, options: Options = {}) => {
    const late = isLateStore ? lateStore(inner, seededRandom(lates.length + 1)) : undefined
    if (late !== undefined) lates.push(late)
    return createTaskSupervisor({
      random01: seededRandom(7),
      tools: [again.tool],
      logger: { warn: () => undefined, error: (_fields, message) => void logged.push(message) },
      ...options,
      store: faultyStore(late ?? inner, plan),
      clock,
      createId,
    })
  }
  let isGone = false
  return {
    inner,
    clock,
    settle,
    advance: (ms: number) => clock.advance(ms),
    again,
    once,
    logged,
    /** The process that is gone after what it has done. */
    async before<Done>(does: (tasks: ReturnType<typeof start>) => Promise<Done>, options: Options = {}): Promise<Done> {
      const tasks = start(() => (isGone ? 'hang' : undefined), options)
      const done = does(tasks)
      await settle()
      const result = await done
      await settle()
      isGone = true
      return result
    },
    /** The process that comes next. */
    after(plan: FaultPlan = () => undefined, options: Options = {}) {
      const tasks = start(plan, options)
      onTestFinished(async () => {
        const closing = tasks.shutdown({ graceMs: 1 })
        await clock.advance(60_000)
        await closing
      })
      return { tasks, ann: tasks.session({ owner: 'ann' }) }
    },
    /** So many calls of these methods go wrong. */
    failing(fault: StoreFault, methods: readonly string[], times: number): FaultPlan {
      let left = times
      return ({ method }) => (methods.includes(method) && (left -= 1) >= 0 ? fault : undefined)
    },
  }
}

describe('what an earlier process has left', () => {
  test.each([
    ['the input of a call', 'readAttachment', 'failBefore'],
    ['a record', 'read', 'failBefore'],
    ['a commit', 'commit', 'failAfter'],
    ['what is asked for first', 'list', 'failBefore'],
    ['what is owed', 'listDeliveries', 'failBefore'],
    ['a delivery', 'putDelivery', 'failAfter'],
  ] as const)('is recovered though the store fails for a while with %s', async (_what, method, fault) => {
    const chat = scriptedChannel()
    chat.script('1', 'hang')
    const { before, after, advance, again, once, failing, inner } = setupLeft()
    const [first, second, owing] = await before(
      async (tasks) => {
        const ann = tasks.session({ owner: 'ann' })
        return [
          await ann.spawn(again.tool, 'again'),
          await ann.spawn(once.tool, 'once'),
          await ann.spawn(() => 1, undefined, { deliverTo: 'chat:1' }),
        ]
      },
      { channels: { chat: chat.channel } },
    )
    const { tasks, ann } = after(failing(fault, [method], 3), { channels: { chat: chat.channel } })
    // Whoever comes tries again to open what could not be opened.
    for (let tries = 0; tries < 4; tries += 1) {
      watch(tasks.start())
      await advance(1_000)
    }
    await advance(60_000)
    expect(await inner.read(second.taskId)).toMatchObject({ status: 'failed', failure: { code: 'interrupted' } })
    expect(again.calls).toHaveLength(2)
    again.call(1).resolve('done')
    await advance(100)
    expect(await ann.result(first.taskId)).toBe('done')
    expect(await ann.deliveries(owing.taskId)).toMatchObject([{ state: 'delivered' }])
    expect(new Set(chat.sent.map(({ message }) => message.id)).size).toBe(1)
    expect(chat.sent).toHaveLength(2)
  })

  test('runs again as soon as there is room for it', async () => {
    const { before, after, advance, again, failing } = setupLeft()
    await before((tasks) => tasks.session({ owner: 'ann' }).spawn(again.tool, 'left'))
    const { ann } = after(failing('failBefore', ['readAttachment'], 1), { limits: { maxLive: 1 } })
    const own = controllableTool<undefined, string>('own')
    watch(ann.spawn(own.tool, undefined))
    await advance(60_000)
    expect([own.calls.length, again.calls.length]).toEqual([1, 1])
    own.call(0).resolve('done')
    await advance(10_000)
    expect(again.calls).toHaveLength(2)
  })

  test('shows nothing of itself any more when it is closed', async () => {
    const cleared: string[] = []
    const chat = scriptedChannel(() => 0, {
      presence: { kind: 'placeholder', clear: ({ messageId }) => void cleared.push(messageId) },
    })
    chat.always('1', { messageId: 'm-1' })
    const { before, after, advance, once } = setupLeft()
    const options = { channels: { chat: chat.channel } }
    const task = await before(
      (tasks) => tasks.session({ owner: 'ann' }).spawn(once.tool, 'once', { deliverTo: 'chat:1' }),
      options,
    )
    const { tasks, ann } = after(undefined, options)
    watch(tasks.start())
    await advance(1_000)
    expect(cleared).toEqual(['m-1'])
    expect((await ann.deliveries(task.taskId)).map(({ kind, state }) => `${kind} ${state}`)).toEqual([
      'start withdrawn',
      'end delivered',
    ])
  })

  test('is told from what this process does, which is never taken for it', async () => {
    const { before, after, advance, again, failing } = setupLeft()
    await before((tasks) => tasks.session({ owner: 'ann' }).spawn(again.tool, 'left'))
    const plan = failing('failBefore', ['readAttachment'], 5)
    const { ann } = after(plan)
    const own = controllableTool<undefined, string>('own')
    const spawned = watch(ann.spawn(own.tool, undefined))
    await advance(10_000)
    expect([spawned.state, again.calls.length]).toEqual(['resolved', 2])
    expect(await spawned.value?.record()).toMatchObject({ status: 'running', epoch: 1 })
  })
})

describe('a verb on what an earlier process has left', () => {
  test('waits until it is recovered, and does what it does', async () => {
    const { before, after, advance, again, once, failing } = setupLeft()
    const [first, second, third] = await before(async (tasks) => {
      const ann = tasks.session({ owner: 'ann' })
      return [
        await ann.spawn(again.tool, 'first'),
        await ann.spawn(once.tool, 'second'),
        await ann.spawn(again.tool, 'third'),
      ]
    })
    const { ann } = after(failing('failBefore', ['readAttachment'], 6))
    const cancelled = watch(ann.cancel(first.taskId))
    const closed = watch(ann.cancel(second.taskId))
    const sent = watch(ann.send(third.taskId, 'hello'))
    await advance(20_000)
    expect(cancelled.value).toEqual({ count: 1, tasks: [{ taskId: first.taskId, status: 'cancelled' }] })
    expect(closed.value).toEqual({ count: 0, tasks: [{ taskId: second.taskId, status: 'failed' }] })
    expect(sent.state).toBe('resolved')
    expect(again.calls.find(({ ctx }) => ctx.taskId === third.taskId && ctx.attempt === 2)?.ctx.inbox.size).toBe(1)
  })

  test('cancels all of the owner, or of a run, also what has yet to be recovered', async () => {
    const { before, after, advance, again, once, failing, inner } = setupLeft()
    const [first, second, other] = await before(async (tasks) => {
      const [ann, bob] = [tasks.session({ owner: 'ann' }), tasks.session({ owner: 'bob' })]
      return [
        await ann.spawn(again.tool, 'first', { correlation: { runId: 'r-1' } }),
        await ann.spawn(again.tool, 'second'),
        await bob.spawn(again.tool, 'of bob'),
        await ann.spawn(once.tool, 'closed'),
      ]
    })
    const { ann } = after(failing('failBefore', ['readAttachment'], 6))
    const ofRun = watch(ann.cancelAll({ runId: 'r-1' }))
    await advance(20_000)
    expect(ofRun.value).toEqual({ count: 1, tasks: [{ taskId: first.taskId, status: 'cancelled' }] })
    const all = watch(ann.cancelAll())
    await advance(20_000)
    expect(all.value).toEqual({ count: 1, tasks: [{ taskId: second.taskId, status: 'cancelled' }] })
    expect((await inner.read(other.taskId))?.status).toBe('running')
  })

  test('says after a minute that it cannot be reached, and at once when the supervisor has stopped', async () => {
    const { before, after, advance, again } = setupLeft()
    const task = await before((tasks) => tasks.session({ owner: 'ann' }).spawn(again.tool, 'left'))
    const { tasks, ann } = after(({ method }) => (method === 'readAttachment' ? 'failBefore' : undefined))
    const cancelled = watch(ann.cancel(task.taskId))
    await advance(59_000)
    expect(cancelled.state).toBe('pending')
    await advance(2_000)
    expect(cancelled.error).toMatchObject({ code: 'task_unreachable', retryable: true })
    const waiting = watch(ann.cancel(task.taskId))
    await advance(1_000)
    const closing = tasks.shutdown({ graceMs: 1 })
    await advance(60_000)
    await closing
    expect(waiting.error).toMatchObject({ code: 'task_unreachable' })
  })
})

test('a failure to recover is told once, however often it is tried', async () => {
  const { before, after, advance, again, logged, failing } = setupLeft()
  await before((tasks) => tasks.session({ owner: 'ann' }).spawn(again.tool, 'left'))
  const { tasks } = after(failing('failBefore', ['readAttachment'], 4))
  watch(tasks.start())
  await advance(30_000)
  expect(again.calls).toHaveLength(2)
  expect(logged).toEqual(['what an earlier process left could not be recovered; trying again'])
  expect((await tasks.operator.stats()).counters.storeErrors).toBe(4)
})
