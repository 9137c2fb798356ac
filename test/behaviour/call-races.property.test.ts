import {
  callbackChannel,
  createTaskSupervisor,
  isTaskEvent,
  type OutboxEntry,
  type StreamItem,
  type TaskHandle,
  type TaskStatus,
} from 'outlive'
import { controllableTool, createManualClock, passTurns, sequentialIds, verifyLog } from 'outlive/testing'
import { expect, inject, test } from 'vitest'
import { expectReached, fc } from '../support/properties.ts'
import { recordingStore } from '../support/recording-store.ts'
import { scheduledStore, type ReplyOrder } from '../support/scheduled-store.ts'
import { seededRandom, setup, watch } from '../support/setup.ts'

const isFinalEventType = (type: string): boolean => ['task.completed', 'task.failed', 'task.cancelled'].includes(type)

const ACTIONS = ['complete', 'fail', 'cancel', 'deadline', 'shutdown', 'background', 'attach', 'redirect'] as const
type Action = (typeof ACTIONS)[number]

const DECIDES: Readonly<Partial<Record<Action, TaskStatus>>> = {
  complete: 'completed',
  fail: 'failed',
  cancel: 'cancelled',
  deadline: 'failed',
}

const INLINE_MS = 1_000
const TIMEOUT_MS = 5_000

/** Runs one task through its actions in the order that the scheduler picks, and gives what everybody saw. */
async function race(
  scheduler: fc.Scheduler,
  call: {
    readonly order: ReplyOrder
    readonly how: 'run' | 'run durable' | 'spawn'
    readonly actions: readonly Action[]
  },
) {
  const store = recordingStore(scheduledStore(scheduler, call.order))
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
    inlineMs: INLINE_MS,
    timeoutMs: TIMEOUT_MS,
    commitWaitMs: 1_000_000,
    channels: {
      home: callbackChannel(({ message }) => void sent.push(`home ${message.taskId}`)),
      away: callbackChannel(({ message }) => void sent.push(`away ${message.taskId}`)),
    },
    deliverTo: 'home',
  })
  const ann = tasks.session({ owner: 'ann' })
  const work = controllableTool<undefined, string>('work', { honoursSignal: true })
  const acted: Action[] = []
  const attached: ReturnType<typeof watch<unknown>>[] = []
  const running =
    call.how === 'spawn' ? undefined : watch(ann.run(work.tool, undefined, { durable: call.how === 'run durable' }))
  const spawned: { state: string; value?: TaskHandle<string> } | undefined =
    call.how === 'spawn' ? watch(ann.spawn(work.tool, undefined)) : undefined
  const closing: Promise<unknown>[] = []

  const act = (action: Action): void => {
    if (work.calls.length === 0) return
    acted.push(action)
    switch (action) {
      case 'complete':
        return work.call(0).resolve('done')
      case 'fail':
        return work.call(0).reject(new Error('broken'))
      case 'cancel':
        return void ann.cancel('task-1').catch(() => undefined)
      case 'deadline':
        return void closing.push(clock.advance(TIMEOUT_MS))
      case 'shutdown':
        return void closing.push(tasks.shutdown({ graceMs: 20_000 }))
      case 'background':
        return void ann.background('task-1').catch(() => undefined)
      case 'attach':
        return void attached.push(watch(ann.attach('task-1')))
      case 'redirect':
        return void ann.redirect('task-1', 'away').catch(() => undefined)
    }
  }
  for (const action of call.actions) void scheduler.schedule(Promise.resolve(), action).then(() => act(action))
  for (let round = 0; round < 3; round += 1) {
    await scheduler.waitIdle()
    await passTurns(2)
  }
  const stateThen = await store.read('task-1')
  // Nobody decided yet: the work ends by itself, or the deadline ends it.
  for (const due of [TIMEOUT_MS, TIMEOUT_MS, 60_000]) {
    const passing = clock.advance(due)
    await scheduler.waitFor(passing)
    await scheduler.waitIdle()
  }
  const stats = await ann.stats()
  const record = await store.read('task-1')
  const events = await store.readEvents({ taskId: 'task-1', afterSeq: 0, limit: 1_000 })
  const outbox = await store.readOutbox('task-1')
  const ending = store.commits.find(({ events }) => events.some(({ type }) => isFinalEventType(type)))
  const end = tasks.shutdown({ graceMs: 1 })
  await scheduler.waitFor(clock.advance(100_000))
  await scheduler.waitFor(Promise.all([...closing, end]))
  return {
    acted,
    running,
    spawned,
    attached,
    stateThen,
    record,
    events,
    outbox,
    ending,
    stats,
    sent,
    calls: work.calls.length,
  }
}

type Race = Awaited<ReturnType<typeof race>>

function expectOneEnd({ record, events, stats }: Race): void {
  expect(stats.live).toBe(0)
  if (record === undefined) return
  expect(['completed', 'failed', 'cancelled']).toContain(record.status)
  const types: string[] = events.map(({ event }) => event.type)
  expect(types.filter(isFinalEventType)).toEqual([`task.${record.status}`])
  expect(types.at(-1)).toBe(`task.${record.status}`)
  expect(events.map(({ event }) => event.seq)).toEqual(events.map((_, index) => index + 1))
  expect(record.lastSeq).toBe(events.length)
}

function expectAnsweredOnce({ running, spawned, record, ending }: Race, how: string): void {
  if (how === 'spawn') return expect(spawned?.state).not.toBe('pending')
  expect(running?.state).not.toBe('pending')
  if (running?.state !== 'resolved') return
  const outcome = running.value
  if (outcome?.kind === 'inline') {
    expect(outcome.value).toBe('done')
    expect(ending?.outbox ?? []).toEqual([])
  } else {
    expect(record).toBeDefined()
  }
}

function expectFirstDecision({ acted, record, stateThen }: Race): void {
  const first = acted.find((action) => DECIDES[action] !== undefined)
  if (first === undefined || record === undefined) return
  expect(record.status).toBe(DECIDES[first])
  if (stateThen?.endedAt !== undefined) expect(record).toEqual(stateThen)
  if (first === 'deadline') expect(record.failure?.code).toBe('timeout')
  if (first === 'fail') expect(record.failure?.message).toBe('broken')
}

function expectDeliveredOnceWhereDetached({ outbox, ending, sent }: Race): void {
  const targets = outbox.map(({ target }: OutboxEntry) => target)
  expect(new Set(targets).size).toBe(targets.length)
  expect(new Set(sent.map((text) => text.split(' ')[0]))).toEqual(new Set(targets))
  expect(sent).toHaveLength(targets.length)
  if (ending === undefined) return
  const { caller, targets: asked } = ending.record
  expect(ending.outbox.map(({ target }) => target)).toEqual(caller === 'detached' ? asked : [])
}

test('whatever order completion, failure, cancel, deadline, shutdown and the store take, a task ends once and as the first of them said', async () => {
  let ended = 0
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom<ReplyOrder>('at once', 'effect at once, reply late', 'effect and reply late'),
      fc.constantFrom<'run' | 'run durable' | 'spawn'>('run', 'run durable', 'spawn'),
      fc.shuffledSubarray([...ACTIONS], { minLength: 1 }),
      async (scheduler, order, how, actions) => {
        const seen = await race(scheduler, { order, how, actions })
        expectOneEnd(seen)
        expectAnsweredOnce(seen, how)
        expectFirstDecision(seen)
        expectDeliveredOnceWhereDetached(seen)
        for (const attacher of seen.attached) expect(attacher.state).not.toBe('pending')
        if (seen.record !== undefined && seen.calls > 0) ended += 1
      },
    ),
    { numRuns: 250 },
  )
  expectReached({ ended }, 60)
})

/** What one task may be expected to be, told in as few words as possible. */
interface Model {
  work: 'running' | 'stopping' | 'completed' | 'failed' | 'cancelled'
  caller: 'attached' | 'detached'
  codeEnded: boolean
  isDirected: boolean
  ranMs: number
  attachedMs: number
  stoppedMs: number
}

const GRACE_MS = 700
const ends = (model: Model, work: Model['work']): void => void (model.work = work)
const isOver = (model: Model): boolean => ['completed', 'failed', 'cancelled'].includes(model.work)
const detach = (model: Model): void => void (model.caller = isOver(model) ? model.caller : 'detached')

/** Lets time pass millisecond by millisecond: slow, and plain to see. */
function passTime(model: Model, ms: number, stopped: { status: 'failed' | 'cancelled' }): void {
  for (let passed = 0; passed < ms && !isOver(model); passed += 1) {
    model.ranMs += 1
    model.attachedMs += 1
    if (model.caller === 'attached' && model.attachedMs === INLINE_MS) detach(model)
    if (model.work === 'running' && model.ranMs === TIMEOUT_MS) {
      model.work = 'stopping'
      model.stoppedMs = 0
      stopped.status = 'failed'
    } else if (model.work === 'stopping') {
      model.stoppedMs += 1
      if (model.stoppedMs === GRACE_MS) ends(model, stopped.status)
    }
  }
}

type Command =
  | { readonly kind: 'complete' | 'fail' | 'cancel' | 'background' | 'attach' | 'redirect' | 'report' }
  | { readonly kind: 'pass'; readonly ms: number }

const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.constantFrom<Command>(
    { kind: 'complete' },
    { kind: 'fail' },
    { kind: 'cancel' },
    { kind: 'background' },
    { kind: 'attach' },
    { kind: 'redirect' },
    { kind: 'report' },
  ),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 300, INLINE_MS - 1, INLINE_MS, TIMEOUT_MS) }),
)

function applyToModel(model: Model, command: Command, stopped: { status: 'failed' | 'cancelled' }): void {
  if (command.kind === 'pass') return passTime(model, command.ms, stopped)
  if (isOver(model)) return
  switch (command.kind) {
    case 'complete':
    case 'fail':
      if (model.codeEnded) return
      model.codeEnded = true
      if (model.work === 'stopping') ends(model, stopped.status)
      else ends(model, command.kind === 'complete' ? 'completed' : 'failed')
      return
    case 'cancel':
      if (model.work === 'stopping') return
      stopped.status = 'cancelled'
      model.stoppedMs = 0
      model.work = 'stopping'
      return
    case 'background':
      return detach(model)
    case 'redirect':
      model.isDirected = true
      return detach(model)
    case 'attach':
      if (model.isDirected) return
      model.caller = 'attached'
      model.attachedMs = -Infinity
      return
    case 'report':
      return
  }
}

test('after any sequence of commands a task is what a short model of it says', async () => {
  const met = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { minLength: 1, maxLength: 12 }), async (sequence) => {
      const { ann, advance, settle } = setup({
        inlineMs: INLINE_MS,
        timeoutMs: TIMEOUT_MS,
        graceMs: GRACE_MS,
        channels: { away: callbackChannel(() => undefined) },
      })
      const model: Model = {
        work: 'running',
        caller: 'attached',
        codeEnded: false,
        isDirected: false,
        ranMs: 0,
        attachedMs: 0,
        stoppedMs: 0,
      }
      const stopped: { status: 'failed' | 'cancelled' } = { status: 'cancelled' }
      const work = controllableTool('work')
      watch(ann.run(work.tool, undefined, { durable: true }))
      await settle()
      for (const command of sequence) {
        applyToModel(model, command, stopped)
        if (command.kind === 'pass') await advance(command.ms)
        else if (command.kind === 'complete') work.call(0).resolve(1)
        else if (command.kind === 'fail') work.call(0).reject(new Error('broken'))
        else if (command.kind === 'report') work.call(0).ctx.progress(0.5)
        else if (command.kind === 'redirect') watch(ann.redirect('task-1', 'away'))
        else if (command.kind === 'attach') watch(ann.attach('task-1', { waitMs: Infinity }))
        else watch<unknown>(ann[command.kind]('task-1'))
        await settle()
        const record = await ann.get('task-1')
        expect({ status: record?.status, caller: record?.caller }).toEqual({ status: model.work, caller: model.caller })
        expect((await ann.stats()).live).toBe(isOver(model) ? 0 : 1)
        met.add(`${model.work} ${model.caller}`)
      }
      const log: StreamItem[] = []
      if (!isOver(model)) watch(ann.cancel('task-1'))
      await advance(GRACE_MS)
      for await (const item of ann.events({ taskId: 'task-1' })) log.push(item)
      expect(verifyLog(log)).toEqual([])
    }),
    { numRuns: 60 },
  )
  expectReached({ 'states of a task': met.size }, 8)
})

test('work that ends in the tick of a cancel ends once, and a value that came second is kept as partial', async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.nat(4), fc.nat(4), fc.boolean(), async (cancelFirst, before, after, fails) => {
      const { ann, tasks, advance } = setup()
      const work = controllableTool('work')
      const task = await ann.spawn(work.tool, undefined)
      const settleWork = async (ticks: number): Promise<void> => {
        for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve()
        if (fails) work.call(0).reject(new Error('broken'))
        else work.call(0).resolve('done')
      }
      const cancelTask = async (ticks: number) => {
        for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve()
        return await task.cancel()
      }
      const acts = cancelFirst ? [cancelTask(before), settleWork(after)] : [settleWork(before), cancelTask(after)]
      await advance(6_000)
      await Promise.all(acts)
      const { status, partial } = await task.record()
      seen.add(status)
      if (status === 'cancelled') expect(partial).toBe(fails ? undefined : 'done')
      const log: StreamItem[] = []
      for await (const item of task.events()) log.push(item)
      expect(verifyLog(log)).toEqual([])
      expect(log.filter(isTaskEvent).filter(({ type }) => isFinalEventType(type))).toHaveLength(1)
      expect((await tasks.operator.stats()).counters.abandonedTasks).toBe(0)
    }),
    { numRuns: 60 },
  )
  expectReached({ 'kinds of ends': seen.size }, 3)
})

test('work that ends around its soft deadline answers inline or with a ticket that leads to the value, never both ways', async () => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('before', 'same turn', 'after'),
      fc.nat(6),
      fc.boolean(),
      async (when, turns, durable) => {
        const sent: string[] = []
        const { ann, advance, clock, settle } = setup({
          inlineMs: INLINE_MS,
          channels: { home: callbackChannel(({ message }) => void sent.push(message.taskId)) },
          deliverTo: 'home',
        })
        const work = controllableTool<undefined, string>('work')
        const call = watch(ann.run(work.tool, undefined, { durable }))
        await settle()
        if (when === 'before') work.call(0).resolve('done')
        if (when === 'same turn') clock.startTimer(INLINE_MS, () => work.call(0).resolve('done'))
        const passing = advance(INLINE_MS)
        if (when === 'after') {
          await passTurns(turns)
          work.call(0).resolve('done')
        }
        await passing
        await settle()
        expect(call.state).toBe('resolved')
        const outcome = call.value
        if (outcome?.kind === 'inline') {
          expect(outcome.value).toBe('done')
          expect(sent).toEqual([])
        } else {
          expect(await ann.result(outcome?.ticket.taskId ?? '')).toBe('done')
          expect(sent).toEqual(['task-1'])
        }
        seen.add(String(outcome?.kind))
      },
    ),
    { numRuns: 80 },
  )
  expectReached({ 'kinds of outcomes': seen.size }, 2)
})
