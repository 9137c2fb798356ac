import { isFinalStatus, type OnChildFailure, type OnParentEnd, type TaskContext, type TaskStatus } from 'outlive'
import { expect, test } from 'vitest'
import { breachesOf, KEEP_ALL, wholeLog, codeOf } from '../support/branches.ts'
import { expectReached, fc } from '../support/properties.ts'
import { isLateStore, setup } from '../support/setup.ts'

type Outcome = 'completed' | 'failed' | 'cancelled'

interface Traits {
  /** Whether its code ignores its signal. */
  readonly deaf: boolean
  readonly onParentEnd: OnParentEnd
  readonly onChildFailure: OnChildFailure
}

interface Node extends Traits {
  owner: Node | undefined
  status: TaskStatus
  outcome: Outcome
  codeEnded: boolean
  graceOver: boolean
  /** The accepted stop that reached it. */
  stop: number | undefined
}

/** What trees of tasks do, as short as it can be said. Everything happens at once, and time is counted in stops. */
function createModel() {
  const nodes: Node[] = []
  let stops = 0
  const owned = (node: Node): Node[] => nodes.filter(({ owner, status }) => owner === node && !isFinalStatus(status))
  const subtree = (node: Node): Node[] => [node, ...owned(node).flatMap(subtree)]

  const settle = (node: Node): void => {
    if (owned(node).length > 0) return
    if (node.status === 'finishing') end(node, 'completed')
    else if (node.status === 'stopping' && (node.codeEnded || node.graceOver)) end(node, node.outcome)
  }

  const end = (node: Node, outcome: Outcome): void => {
    node.status = outcome
    const { owner } = node
    if (owner === undefined) return
    const mayFail = owner.status === 'running' || owner.status === 'finishing'
    if (outcome === 'failed' && owner.onChildFailure === 'fail' && mayFail) stop([owner], 'failed')
    else settle(owner)
  }

  const stop = (roots: readonly Node[], outcome: Outcome): void => {
    stops += 1
    const reached = roots.flatMap(subtree).filter((node) => node.stop === undefined)
    for (const node of reached) {
      node.stop = stops
      if (node.status === 'stopping') continue
      node.status = 'stopping'
      node.outcome = roots.includes(node) ? outcome : 'cancelled'
      if (!node.deaf) node.codeEnded = true
    }
    for (const node of reached.reverse()) settle(node)
  }

  return {
    nodes,
    spawn(owner: Node | undefined, traits: Traits): boolean {
      if (owner !== undefined && owner.status !== 'running') return false
      nodes.push({
        ...traits,
        owner,
        status: 'running',
        outcome: 'completed',
        codeEnded: false,
        graceOver: false,
        stop: undefined,
      })
      return true
    },
    endCode(node: Node, outcome: 'completed' | 'failed'): void {
      if (node.codeEnded || isFinalStatus(node.status)) return
      node.codeEnded = true
      if (node.status === 'stopping') return settle(node)
      for (const child of owned(node)) if (child.onParentEnd === 'detach') child.owner = undefined
      node.status = outcome === 'completed' ? 'finishing' : 'stopping'
      node.outcome = outcome
      const left = owned(node).filter(({ onParentEnd }) => outcome === 'failed' || onParentEnd === 'cancel')
      stop(left, 'cancelled')
      settle(node)
    },
    cancel: (node: Node): void => void (isFinalStatus(node.status) || stop([node], 'cancelled')),
    cancelAll: (): void =>
      stop(
        nodes.filter(({ owner, status }) => owner === undefined && !isFinalStatus(status)),
        'cancelled',
      ),
    /** Lets the grace of every stop pass that is under way. */
    passGrace(): void {
      const underWay = stops
      for (let number = 1; number <= underWay; number += 1) {
        const members = nodes.filter((node) => node.stop === number)
        for (const node of members) node.graceOver = true
        for (const node of members.reverse()) settle(node)
      }
    },
  }
}

const GRACE_MS = 5_000

const traits = fc.record<Traits>({
  deaf: fc.boolean(),
  onParentEnd: fc.constantFrom('wait', 'wait', 'cancel', 'detach'),
  onChildFailure: fc.constantFrom('isolate', 'fail'),
})

const command = fc.oneof(
  { weight: 10, arbitrary: fc.record({ verb: fc.constant('spawn' as const), at: fc.nat(30), traits }) },
  { weight: 6, arbitrary: fc.record({ verb: fc.constantFrom('complete' as const, 'fail' as const), at: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('cancel' as const), at: fc.nat(30) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom('cancelAll' as const, 'passGrace' as const, 'passGrace' as const),
      at: fc.nat(0),
    }),
  },
)

type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never

/** How often each verb did something, over all runs. */
type Seen = Record<string, number>

async function play(commands: readonly Command[], seen: Seen): Promise<void> {
  const harness = setup({ graceMs: GRACE_MS, timeoutMs: Infinity, retention: KEEP_ALL })
  const { ann, tasks, clock, advance, settle } = harness
  const model = createModel()
  const ids: string[] = []
  const codes = new Map<
    string,
    { readonly ctx: TaskContext; resolve(value: unknown): void; reject(error: unknown): void }
  >()
  const note = (what: string): void => void (seen[what] = (seen[what] ?? 0) + 1)

  const toolOf = ({ onChildFailure }: Traits) => ({
    name: onChildFailure,
    policy: { onChildFailure },
    run: ({ deaf }: { readonly deaf: boolean }, ctx: TaskContext) =>
      new Promise<unknown>((resolve, reject) => {
        codes.set(ctx.taskId, { ctx, resolve, reject })
        if (!deaf) ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
      }),
  })

  const spawn = async (at: number, given: Traits): Promise<void> => {
    const index = at % (ids.length + 1)
    const owner = model.nodes[index]
    const call = [toolOf(given), { deaf: given.deaf }, { onParentEnd: given.onParentEnd }] as const
    const code = codes.get(ids[index] ?? '')
    const spawned =
      owner === undefined ? ann.spawn(...call) : (code?.ctx.spawn(...call) ?? Promise.reject(new Error('not started')))
    const outcome = await spawned.then(
      (task) => task.taskId,
      (error: unknown) => ({ code: codeOf(error) }),
    )
    if (model.spawn(owner, given)) ids.push(outcome as string)
    else expect(outcome).toEqual({ code: 'parent_stopping' })
    note(typeof outcome === 'string' ? 'spawned' : 'refused')
  }

  const expectAlike = async (): Promise<void> => {
    const { tasks: records } = await ann.list({ limit: 1_000 })
    const statuses = new Map(records.map(({ taskId, status }) => [taskId, status]))
    expect(ids.map((taskId) => statuses.get(taskId))).toEqual(model.nodes.map(({ status }) => status))
    expect(records).toHaveLength(ids.length)
    for (const { status } of model.nodes) note(status)
  }

  for (const step of commands) {
    const index = ids.length === 0 ? 0 : step.at % ids.length
    const node = model.nodes[index]
    const taskId = ids[index] ?? ''
    if (step.verb === 'spawn') await spawn(step.at, step.traits)
    else if (step.verb === 'cancelAll') {
      ann.cancelAll().catch(() => note('broken cancel'))
      model.cancelAll()
    } else if (step.verb === 'passGrace') {
      await advance(GRACE_MS + 1_000)
      model.passGrace()
    } else if (node !== undefined && step.verb === 'cancel') {
      note(isFinalStatus(node.status) ? 'stopped too late' : 'stopped')
      ann.cancel(taskId).catch(() => note('broken cancel'))
      model.cancel(node)
    } else if (node !== undefined && step.verb !== 'cancel') {
      if (step.verb === 'complete') codes.get(taskId)?.resolve('value')
      else codes.get(taskId)?.reject(new Error('on its own'))
      model.endCode(node, step.verb === 'complete' ? 'completed' : 'failed')
    }
    // Each stop has a moment of its own, so that their graces end one after the other.
    await advance(1)
    await expectAlike()
  }

  ann.cancelAll().catch(() => note('broken cancel'))
  model.cancelAll()
  for (let round = 0; round < 3; round += 1) {
    await advance(2 * GRACE_MS)
    model.passGrace()
  }
  await expectAlike()
  await settle()
  const log = await wholeLog(harness)
  expect(breachesOf(log)).toEqual([])
  const ends = log.filter(({ type }) => ['task.completed', 'task.failed', 'task.cancelled'].includes(type))
  expect(ends).toHaveLength(ids.length)
  expect((await tasks.operator.stats()).live).toBe(0)
  expect(clock.heldTimerCount()).toBe(0)
  expect(seen['broken cancel']).toBeUndefined()
}

test('trees of tasks do what a short model of them says', async () => {
  const seen: Seen = {}
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 30, size: 'max' }), (commands) =>
      play(commands, seen),
    ),
    { numRuns: isLateStore ? 60 : 150 },
  )
  const statuses = ['running', 'finishing', 'stopping', 'completed', 'failed', 'cancelled']
  for (const what of ['spawned', 'refused', 'stopped', 'stopped too late', ...statuses]) {
    expectReached({ [what]: seen[what] ?? 0 }, 5)
  }
})
