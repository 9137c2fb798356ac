import {
  callbackChannel,
  createTaskSupervisor,
  isTaskEvent,
  type RestartIntensity,
  type RetryExhausted,
  type TaskContext,
  type TaskEvent,
} from 'outlive'
import { controllableTool, createManualClock, passTurns, sequentialIds } from 'outlive/testing'
import { expect, inject, test } from 'vitest'
import { breachesOf, codeOf, KEEP_ALL, wholeLog } from '../support/branches.ts'
import { expectReached, fc } from '../support/properties.ts'
import { scheduledStore, type ReplyOrder } from '../support/scheduled-store.ts'
import { isLateStore, seededRandom, setup, watch, type Harness } from '../support/setup.ts'

/** What the code of one task's attempts does, and may do. */
interface Traits {
  readonly maxAttempts: number
  readonly jitter: 'full' | 'none'
  readonly attemptTimeoutMs: number
  readonly timeoutMs: number
  /** Ignores its signal. */
  readonly deaf: boolean
  readonly onChildFailure: 'isolate' | 'fail'
  readonly restarts: RestartIntensity | undefined
}

const GRACE_MS = 400
const BASE_MS = 100
const MAX_MS = 300

const traits = fc.record<Traits>({
  maxAttempts: fc.integer({ min: 1, max: 4 }),
  jitter: fc.constantFrom('full', 'none'),
  attemptTimeoutMs: fc.constantFrom(Infinity, 250, 700),
  timeoutMs: fc.constantFrom(Infinity, Infinity, 900),
  deaf: fc.boolean(),
  onChildFailure: fc.constantFrom('isolate', 'fail'),
  restarts: fc.constantFrom(undefined, { max: 0, withinMs: 1 }, { max: 1, withinMs: 2_000 }),
})

const at = fc.noBias(fc.nat(12))

const command = fc.oneof(
  { weight: 5, arbitrary: fc.record({ verb: fc.constant('spawn' as const), at, traits }) },
  { weight: 8, arbitrary: fc.record({ verb: fc.constantFrom('fail' as const, 'fail', 'complete'), at }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('cancel' as const), at }) },
  {
    weight: 6,
    arbitrary: fc.record({ verb: fc.constant('pass' as const), at: fc.constantFrom(0, 50, 100, 249, 250, 400, 900) }),
  },
  // The next command comes before what this one has caused.
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('hurry' as const), at: fc.constant(0) }) },
)

type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never

interface Code {
  readonly ctx: TaskContext
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Play {
  readonly commands: readonly Command[]
  readonly maxRunning: number
  readonly endsByShutdown: boolean
}

async function play({ commands, maxRunning, endsByShutdown }: Play, seen: Map<string, number>): Promise<void> {
  const note = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1)
  const harness = setup({ graceMs: GRACE_MS, retention: KEEP_ALL, limits: { maxRunning } })
  const { ann, tasks, clock, advance, settle } = harness
  const traitsOf = new Map<string, Traits>()
  const parentOf = new Map<string, string>()
  const codes = new Map<string, Code>()
  const attempts = new Map<string, number[]>()
  const stopped = new Set<string>()
  const exhausted: RetryExhausted[] = []
  const misdeeds: string[] = []

  const isStopped = (taskId: string | undefined): boolean =>
    taskId !== undefined && (stopped.has(taskId) || isStopped(parentOf.get(taskId)))

  const toolOf = (given: Traits) => ({
    name: 'work',
    policy: {
      onChildFailure: given.onChildFailure,
      attemptTimeoutMs: given.attemptTimeoutMs,
      ...(given.restarts === undefined ? {} : { restarts: given.restarts }),
      retry: {
        maxAttempts: given.maxAttempts,
        jitter: given.jitter,
        baseMs: BASE_MS,
        maxMs: MAX_MS,
        onExhausted: (_: unknown, told: RetryExhausted) => exhausted.push(told),
      },
    },
    run: (_: undefined, ctx: TaskContext) =>
      new Promise<void>((resolve, reject) => {
        if (isStopped(ctx.taskId)) misdeeds.push(`${ctx.taskId} began after its stop`)
        attempts.set(ctx.taskId, [...(attempts.get(ctx.taskId) ?? []), ctx.attempt])
        if (ctx.signal.aborted) misdeeds.push(`${ctx.taskId} began with a signal that had fired`)
        codes.set(ctx.taskId, { ctx, resolve, reject })
        if (!given.deaf) ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
      }),
  })

  const ids = (): string[] => [...traitsOf.keys()]
  const idAt = (at: number): string | undefined => ids()[at % Math.max(1, ids().length)]

  const act = async (given: Command): Promise<void> => {
    const { verb, at } = given
    const code = codes.get(idAt(at) ?? '')
    switch (verb) {
      case 'spawn': {
        const parent = at % 3 === 0 ? undefined : code?.ctx
        const call = [toolOf(given.traits), undefined, { timeoutMs: given.traits.timeoutMs }] as const
        const spawning = (parent ?? ann).spawn(...call).then(
          ({ taskId }) => {
            traitsOf.set(taskId, given.traits)
            if (parent !== undefined) parentOf.set(taskId, parent.taskId)
          },
          (error: unknown) => {
            if (codeOf(error) !== 'parent_stopping') misdeeds.push(`refused with ${codeOf(error)}`)
          },
        )
        // The place of a new task is known before the next command, so that a cancel of its parent counts for it.
        await settle()
        return spawning
      }
      case 'fail':
        return code?.reject(new Error('broken'))
      case 'complete':
        return code?.resolve()
      case 'cancel': {
        const taskId = idAt(at)
        if (taskId === undefined) return
        const { endedAt } = (await ann.get(taskId)) ?? {}
        if (endedAt === undefined) stopped.add(taskId)
        return void watch(ann.cancel(taskId))
      }
      case 'pass':
        return advance(at)
      case 'hurry':
        return
    }
  }

  for (const [index, given] of commands.entries()) {
    await act(given)
    // A stop is accepted a few turns after its call, with a store that answers late: it is let in before more begins.
    if (commands[index + 1]?.verb !== 'hurry' || isLateStore) await settle()
  }
  if (endsByShutdown) {
    const closing = watch(tasks.shutdown({ graceMs: 500 }))
    await advance(60_000)
    expect(closing.state).toBe('resolved')
  } else {
    const cancelled = watch(ann.cancelAll())
    await advance(GRACE_MS)
    expect(cancelled.state).toBe('resolved')
    await advance(10_000)
    await expectSlotsFree(harness, maxRunning)
  }

  const log = (await wholeLog(harness)).filter(isTaskEvent).filter(({ owner }) => owner === 'ann')
  expect(misdeeds).toEqual([])
  expect(breachesOf(log)).toEqual([])
  expect(clock.heldTimerCount()).toBe(0)
  expect((await ann.stats()).live).toBe(0)
  for (const [taskId, given] of traitsOf) {
    const own = log.filter((event) => event.taskId === taskId)
    const made = attempts.get(taskId) ?? []
    expect(made).toEqual(made.map((_, index) => index + 1))
    expect(made.length).toBeLessThanOrEqual(given.maxAttempts)
    const record = await ann.get(taskId)
    expect(record).toMatchObject({ status: own.at(-1)?.type.slice('task.'.length), attempt: Math.max(1, made.length) })
    expect(record?.failure === undefined).toBe(record?.status !== 'failed')
    expectDelays(own)
    const told = exhausted.filter((one) => one.taskId === taskId)
    expect(told.length).toBeLessThanOrEqual(record?.status === 'failed' ? 1 : 0)
    if (told[0]?.limit === 'attempts') expect(made).toHaveLength(given.maxAttempts)
    note(`${record?.status} after ${made.length}`)
    for (const { limit } of told) note(limit)
  }
  for (const { type } of log) note(type)
}

/** As many run as may, and no more: nothing holds a slot, and nothing has given one back twice. */
async function expectSlotsFree({ bob, settle, advance }: Harness, maxRunning: number): Promise<void> {
  if (maxRunning === Infinity) return
  const work = controllableTool('work', { honoursSignal: true })
  for (let n = 0; n <= maxRunning; n += 1) await bob.spawn(work.tool, undefined)
  await settle()
  expect((await bob.stats()).byStatus).toEqual({ running: maxRunning, queued: 1 })
  watch(bob.cancelAll())
  await advance(1)
}

/** Each attempt but the first begins when the one before said it would. */
function expectDelays(events: readonly TaskEvent[]): void {
  for (const [index, event] of events.entries()) {
    if (event.type !== 'task.retrying') continue
    expect(event.dueAt - event.at).toBeGreaterThanOrEqual(0)
    expect(event.dueAt - event.at).toBeLessThanOrEqual(MAX_MS)
    const next = events[index + 1]
    if (next?.type === 'task.started') expect(next.at).toBe(event.dueAt)
  }
}

test('whatever fails, hangs, is cancelled or runs out of time, a task ends once, after at most as many attempts as it may have, and none begins after a stop', async () => {
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(
      fc.record<Play>({
        commands: fc.array(command, { minLength: 6, maxLength: 50, size: 'max' }),
        maxRunning: fc.constantFrom(Infinity, 1, 3),
        endsByShutdown: fc.boolean(),
      }),
      async (given) => play(given, seen),
    ),
    { numRuns: 150 },
  )
  for (const what of [
    'completed after 1',
    'completed after 2',
    'failed after 1',
    'failed after 2',
    'cancelled after 2',
    'attempts',
    'restarts',
    'task.finishing',
    'task.stopping',
  ]) {
    expectReached({ [what]: seen.get(what) ?? 0 }, 1)
  }
})

const ACTIONS = ['cancel', 'shutdown', 'background', 'attach', 'redirect', 'report'] as const
type Action = (typeof ACTIONS)[number]

/** One task whose attempts end as told, while everything else comes in the order that the scheduler picks. */
async function race(
  scheduler: fc.Scheduler,
  call: {
    readonly order: ReplyOrder
    readonly how: 'run' | 'run durable' | 'spawn'
    readonly ends: readonly ('fail' | 'complete')[]
    readonly actions: readonly Action[]
  },
) {
  const store = scheduledStore(scheduler, call.order)
  // Timers fire within the action that lets time pass, before the scheduler picks the next one.
  const clock = createManualClock({ settle: () => Promise.resolve() })
  const sent: string[] = []
  const tasks = createTaskSupervisor({
    store,
    clock,
    createId: sequentialIds(),
    random01: seededRandom(3),
    memoise: inject('memoise'),
    logger: { warn: () => undefined, error: () => undefined },
    inlineMs: 1_000,
    commitWaitMs: 1_000_000,
    channels: { away: callbackChannel(({ message }) => void sent.push(message.taskId)) },
    deliverTo: 'away',
  })
  const ann = tasks.session({ owner: 'ann' })
  const policy = { retry: { maxAttempts: 3, baseMs: BASE_MS, maxMs: MAX_MS } }
  const work = controllableTool<undefined, string>('work', { honoursSignal: true, policy })
  const answer = watch<unknown>(
    call.how === 'spawn'
      ? ann.spawn(work.tool, undefined)
      : ann.run(work.tool, undefined, { durable: call.how !== 'run' }),
  )
  const attached: ReturnType<typeof watch<unknown>>[] = []
  let callsAtStop: number | undefined

  const act = (action: Action): void => {
    const last = work.calls.at(-1)
    if (last === undefined) return
    switch (action) {
      case 'cancel':
        return void watch(ann.cancel('task-1'))
      case 'shutdown':
        return void watch(tasks.shutdown({ graceMs: 1_000 }))
      case 'background':
        return void watch(ann.background('task-1'))
      case 'attach':
        return void attached.push(watch(ann.attach('task-1')))
      case 'redirect':
        return void watch(ann.redirect('task-1', 'away'))
      case 'report':
        return last.ctx.output('said')
    }
  }
  for (const action of call.actions) {
    void scheduler.schedule(Promise.resolve(), action).then(() => {
      act(action)
      if (action === 'cancel' && work.calls.length > 0) callsAtStop ??= work.calls.length
    })
  }
  for (const end of call.ends) {
    void scheduler.schedule(Promise.resolve(), end).then(() => {
      if (end === 'fail') work.calls.at(-1)?.reject(new Error('broken'))
      else work.calls.at(-1)?.resolve('done')
    })
    void scheduler.schedule(Promise.resolve(), 'time passes').then(() => clock.advance(MAX_MS))
  }
  for (let round = 0; round < 3; round += 1) {
    await scheduler.waitIdle()
    await passTurns(2)
  }
  for (const due of [2_000, 60_000]) {
    await scheduler.waitFor(clock.advance(due))
    await scheduler.waitIdle()
  }
  await scheduler.waitFor(Promise.allSettled([ann.cancelAll(), clock.advance(60_000)]))
  await scheduler.waitIdle()
  const events = await store.readEvents({ taskId: 'task-1', afterSeq: 0, limit: 1_000 })
  const record = await store.read('task-1')
  const outbox = await store.readOutbox('task-1')
  const stats = await ann.stats()
  const end = watch(tasks.shutdown({ graceMs: 1 }))
  await scheduler.waitFor(clock.advance(100_000))
  await scheduler.waitIdle()
  return { work, answer, attached, events, record, outbox, sent, stats, end, clock, callsAtStop }
}

test('in whatever order attempts end, time passes, somebody cancels or shuts down and the store answers, there is one end and one answer', async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom<ReplyOrder>('at once', 'effect at once, reply late', 'effect and reply late'),
      fc.constantFrom<'run' | 'run durable' | 'spawn'>('run', 'run durable', 'spawn'),
      fc.array(fc.constantFrom<'fail' | 'complete'>('fail', 'fail', 'fail', 'complete'), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.subarray([...ACTIONS]),
      async (scheduler, order, how, ends, actions) => {
        const outcome = await race(scheduler, { order, how, ends, actions })
        const { work, answer, attached, events, record, outbox, sent, stats, end, clock, callsAtStop } = outcome
        expect(stats.live).toBe(0)
        expect(end.state).toBe('resolved')
        expect(clock.timerCount()).toBe(0)
        expect(work.calls.length).toBeLessThanOrEqual(3)
        expect(work.calls.map(({ ctx }) => ctx.attempt)).toEqual(work.calls.map((_, index) => index + 1))
        if (callsAtStop !== undefined) expect(work.calls.length).toBe(callsAtStop)
        for (const one of [answer, ...attached]) expect(one.state).not.toBe('pending')
        if (record === undefined) return
        const types = events.map(({ event }) => event.type)
        expect(events.map(({ event }) => event.seq)).toEqual(events.map((_, index) => index + 1))
        expect(types.filter((type) => /completed|failed|cancelled/.test(type))).toEqual([types.at(-1)])
        expect(types.at(-1)).toBe(`task.${record.status}`)
        expect(types.filter((type) => type === 'task.started')).toHaveLength(work.calls.length)
        expect(record.attempt).toBe(Math.max(1, work.calls.length))
        expect(new Set(outbox.map(({ target }) => target)).size).toBe(outbox.length)
        expect(sent).toHaveLength(outbox.length)
        seen.add(`${record.status} after ${work.calls.length}`)
      },
    ),
    { numRuns: 250 },
  )
  expectReached({ 'kinds of ends': seen.size }, 5)
})
