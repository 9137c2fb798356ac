import { createTaskSupervisor, isTaskError, isTaskEvent, type TaskEvent } from 'outlive'
import {
  checkHistory,
  createManualClock,
  passTurns,
  sequentialIds,
  taskTrees,
  verifyLog,
  type HistoryFact,
  type SimulatedCall,
} from 'outlive/testing'
import { taskTreeCalls } from 'outlive/testing/properties'
import { expect, inject, test } from 'vitest'
import { toEventView } from '../../src/events/task-event-view.ts'
import type { BranchInput } from '../../src/testing/simulation/task-trees.ts'
import { KEEP_ALL } from '../support/branches.ts'
import { expectReached, fc } from '../support/properties.ts'
import { scheduledStore, type ReplyOrder } from '../support/scheduled-store.ts'
import { seededRandom } from '../support/setup.ts'

type Act = { readonly verb: 'cancel' | 'answer' | 'send' | 'redirect' | 'wait'; readonly at: number }

const ORDERS: readonly ReplyOrder[] = ['at once', 'effect at once, reply late', 'effect and reply late']
const act: fc.Arbitrary<Act> = fc.record({
  verb: fc.constantFrom('cancel' as const, 'answer' as const, 'send' as const, 'redirect' as const, 'wait' as const),
  at: fc.nat(12),
})
const seen = new Map<string, number>()
const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1)

/** Grows some trees while the scheduler decides what ends, acts and is answered next, and gives what everybody was told. */
async function grow(
  scheduler: fc.Scheduler,
  story: {
    readonly order: ReplyOrder
    readonly calls: readonly SimulatedCall[]
    readonly acts: readonly Act[]
    /** Whether the receiver of results refuses the first message, the second one and so on; those after that it takes. */
    readonly refusals: readonly boolean[]
  },
) {
  const store = scheduledStore(scheduler, story.order)
  const clock = createManualClock()
  const scenario = taskTrees()
  const facts: HistoryFact[] = []
  const refusals = [...story.refusals]
  const tools = scenario.tools({
    name: 'here',
    // What takes time ends when the scheduler says so.
    sleep: (ms) => scheduler.schedule(Promise.resolve(), `${ms} ms are over`),
    random01: seededRandom(5),
    effect: () => undefined,
  })
  const tasks = createTaskSupervisor({
    ...scenario.settings,
    lineage: 'explicit',
    retention: KEEP_ALL,
    commitWaitMs: 1_000_000,
    store,
    clock,
    tools,
    createId: sequentialIds(),
    random01: seededRandom(3),
    memoise: inject('memoise'),
    logger: { warn: () => undefined, error: () => undefined },
    channels: {
      mail: {
        async send({ target, message }) {
          await scheduler.schedule(Promise.resolve(), `to ${target.id}`)
          const body = `${message.text} (${message.part}/${message.parts})`
          const isAccepted = refusals.shift() !== true
          facts.push({ type: 'sent', deliveryId: message.id, target: `mail:${target.id}`, body, isAccepted })
          if (!isAccepted) throw new Error('not now')
        },
      },
    },
  })
  const ann = tasks.session({ owner: 'ann' })
  const idOf = (at: number): string => `task-${at + 1}`
  const tellEnd = async (taskId: string): Promise<void> => {
    const { status, persisted } = await ann.wait(taskId, { waitMs: 60_000 })
    if (persisted) facts.push({ type: 'told', taskId, status })
  }
  const carryOut = async ({ verb, at }: Act): Promise<unknown> => {
    const taskId = idOf(at)
    switch (verb) {
      case 'cancel':
        return ann.cancel(taskId)
      case 'answer': {
        const [question] = (await store.read(taskId))?.questions ?? []
        return question === undefined ? undefined : ann.answer(taskId, question.key, true)
      }
      case 'send':
        return ann.send(taskId, 'hello')
      case 'redirect':
        return ann.redirect(taskId, 'mail:elsewhere')
      case 'wait':
        return tellEnd(taskId)
    }
  }
  const under: Promise<unknown>[] = []
  const begin = (label: string, run: () => Promise<unknown>): void => {
    const running = scheduler.schedule(Promise.resolve(), label).then(run)
    under.push(
      running.then(
        () => count(label),
        (error: unknown) => count(isTaskError(error) ? error.code : String(error)),
      ),
    )
  }
  for (const { tool, input, options } of story.calls) {
    const found = tools.find(({ name }) => name === tool)
    begin('spawn', async () => {
      const { taskId } = await ann.spawn(found as never, input as never, options)
      facts.push({ type: 'acknowledged', taskId, owner: 'ann' })
    })
  }
  for (const one of story.acts) begin(one.verb, () => carryOut(one))
  await scheduler.waitIdle()
  await passTurns(3)
  // What still lives has deadlines.
  for (let turn = 0; turn < 40 && (turn < 2 || (await ann.stats()).live > 0); turn += 1) {
    await scheduler.waitFor(clock.advance(5_000))
    await scheduler.waitIdle()
  }
  await scheduler.waitFor(clock.advance(120_000))
  await scheduler.waitFor(Promise.all(under))

  const { entries } = await store.readFeed({ after: 0, limit: 1_000 })
  const events = entries.map((entry) => toEventView(entry, String(entry.position))).filter(isTaskEvent)
  const { records } = await store.list({ limit: 1_000 })
  for (const event of events) facts.push({ type: 'committed', event })
  for (const { taskId, status, resultJson } of records) {
    facts.push({ type: 'kept', taskId, status, ...(resultJson === undefined ? {} : { value: resultJson }) })
    for (const { deliveryId, state, settledAt } of await store.readOutbox(taskId)) {
      const became = state === 'delivered' ? state : settledAt === undefined ? 'owed' : 'givenUp'
      facts.push({ type: 'delivery', deliveryId, taskId, state: became })
    }
  }
  const { byStatus } = await tasks.operator.stats()
  facts.push({ type: 'counted', byStatus })
  const audit = await tasks.operator.audit({ limit: 1_000 })
  await scheduler.waitFor(Promise.all([tasks.shutdown({ graceMs: 1 }), clock.advance(60_000)]))
  return { facts, events, audit }
}

function noteSeen(events: readonly TaskEvent[]): void {
  for (const { type, depth } of events) {
    count(type)
    if (type === 'task.started') count(`depth ${depth}`)
  }
}

test('trees of any shape keep every law and every rule, whatever the order of ends, acts, sends and answers of the store', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom(...ORDERS),
      fc.array(taskTreeCalls(), { minLength: 1, maxLength: 4 }),
      fc.array(act, { maxLength: 8 }),
      fc.array(fc.boolean(), { maxLength: 3 }),
      async (scheduler, order, calls, acts, refusals) => {
        const { facts, events, audit } = await grow(scheduler, { order, calls, acts, refusals })
        // Commits of different tasks that take effect late do so in the order of the scheduler.
        const isReordered = order === 'effect and reply late'
        expect(verifyLog(events, { isReordered })).toEqual([])
        expect(checkHistory(facts)).toEqual([])
        expect(audit).toMatchObject({ missing: [], stray: [] })
        noteSeen(events)
      },
    ),
    { numRuns: 300 },
  )
  // All that trees can do has been seen.
  const wanted = ['task.completed', 'task.failed', 'task.cancelled', 'task.retrying', 'task.asked', 'task.answered']
  const others = ['task.stopping', 'task.message', 'task.redirected', 'depth 0', 'depth 1', 'depth 2', 'wait']
  for (const what of [...wanted, ...others, 'name_taken', 'cancel']) expectReached({ [what]: seen.get(what) ?? 0 }, 1)
})

test('calls are no deeper and no wider than they may be, and of the kinds and targets that were named', () => {
  const depthOf = ({ input }: SimulatedCall): number => 1 + Math.max(0, ...(input as BranchInput).children.map(depthOf))
  const all = (call: SimulatedCall): SimulatedCall[] => [call, ...(call.input as BranchInput).children.flatMap(all)]
  const calls = fc.sample(
    taskTreeCalls({ maxDepth: 2, maxChildren: 2, kinds: ['quick', 'deaf'], targets: ['mail:one'] }),
    { numRuns: 300, seed: 1 },
  )
  expect(Math.max(...calls.map(depthOf))).toBe(2)
  const each = calls.flatMap(all)
  expect(Math.max(...each.map(({ input }) => (input as BranchInput).children.length))).toBe(2)
  expect(new Set(each.map(({ input }) => (input as BranchInput).kind))).toEqual(new Set(['quick', 'deaf']))
  expect(new Set(each.map(({ options }) => options?.deliverTo))).toEqual(new Set([undefined, 'mail:one']))
  expect(JSON.parse(JSON.stringify(calls))).toEqual(calls)
})

test('a failure shrinks to one plain call', () => {
  const isSlow = ({ input }: SimulatedCall): boolean =>
    (input as BranchInput).kind === 'slow' || (input as BranchInput).children.some(isSlow)
  const { counterexample } = fc.check(
    fc.property(taskTreeCalls(), (call) => !isSlow(call)),
    { seed: 2, numRuns: 500 },
  )
  expect(counterexample?.[0]).toEqual({
    tool: 'branch',
    input: { kind: 'slow', ms: 0, children: [], awaits: false },
    options: {},
  })
})

test('a bad option is refused by name', () => {
  expect(() => taskTreeCalls({ maxDepth: 0 })).toThrow(/maxDepth/)
  expect(() => taskTreeCalls({ maxChildren: -1 })).toThrow(/maxChildren/)
  expect(() => taskTreeCalls({ depth: 2 } as never)).toThrow(/depth/)
  expect(() => taskTreeCalls({ kinds: [] })).toThrow(/kinds/)
  expect(() => taskTreeCalls({ kinds: ['lazy' as never] })).toThrow(/kinds/)
})
