/** A plan that is carried out: processes over one store, the people who call them, and what everybody is told. */
import { memoryStore } from '../../adapters/memory/memory-store.ts'
import { isTaskError } from '../../errors.ts'
import { toEventView } from '../../events/task-event-view.ts'
import { isFinalStatus, LIVE_STATUSES, type TaskStatus } from '../../../machines/vocabulary.ts'
import type { ChannelSend } from '../../ports/channel.ts'
import { isTaskEvent } from '../../ports/task-event.ts'
import type { TaskRecord } from '../../ports/task-record.ts'
import type { Session } from '../../ports/session.ts'
import type { SpawnCall } from '../../ports/task-handle.ts'
import type { HistoryFact } from '../check-history.ts'
import { sequentialIds } from '../sequential-ids.ts'
import { startProcess, type NodeProcess } from './process.ts'
import type { Owner, SimulationPlan, SimulationStep } from './plan.ts'
import type { Scenario, SimulatedCall } from './scenario.ts'
import { createTimeline } from './timeline.ts'

export interface World {
  act(step: SimulationStep): Promise<void>
  /** Nothing goes wrong any more: what is under way comes to its end, as far as it does. */
  heal(): Promise<void>
  /** Says what there is in the end. */
  sumUp(): Promise<void>
  nowMs(): number
}

interface Consumer {
  readonly owner: Owner
  cursor: string | undefined
  reading: AbortController | undefined
}

const FEED_PAGE = 1_000
const WAIT_MS = 4_000
const HEAL_STEP_MS = 2_500
/** After its end a task may still owe a delivery, and a process that is gone is noticed a lease later. */
const LAST_MS = 45_000
/** How many calls are made of one process at the same time at most, where no limit says how many may run. */
const MAX_TRIED = 8

/** `note` is told each fact when it is one. */
export function createWorld(scenario: Scenario, plan: SimulationPlan, note: (fact: HistoryFact) => void): World {
  const timeline = createTimeline()
  const store = memoryStore({ shared: true })
  const createId = sequentialIds('id')
  const known: { readonly taskId: string; readonly owner: string }[] = []
  const settleMs = scenario.settleMs ?? 600_000
  const consumers = new Map<number, Consumer>()
  let channelFaults: ('reject' | 'hang')[] = []
  let position = 0
  let lives = 0

  const send = async ({ target, message }: ChannelSend): Promise<void> => {
    const fault = channelFaults.shift()
    const isAccepted = fault !== 'reject'
    const body = `${message.text} (${message.part}/${message.parts})`
    const { deliveryId, part, parts } = message
    const place = { target: `${target.channel}:${target.id}`, ...(parts === 1 ? {} : { part, parts }) }
    const outbox = store.readOutbox(message.taskId) as Awaited<ReturnType<typeof store.readOutbox>>
    const isKept = outbox.some((entry) => entry.deliveryId === deliveryId)
    note({ type: 'sent', deliveryId, ...place, body, isAccepted, isKept })
    if (fault === 'reject') throw new Error('the channel refuses')
    // It is taken, and nobody hears of it.
    if (fault === 'hang') await new Promise<never>(() => undefined)
  }

  const start = (index: number): NodeProcess => {
    lives += 1
    const name = `n${index + 1}`
    return startProcess({
      scenario,
      timeline,
      store,
      createId,
      name,
      seed: plan.seed * 1_000 + lives,
      send,
      effect(effect, data) {
        readStore()
        note({ type: 'effect', process: name, name: effect, ...(data === undefined ? {} : { data }) })
      },
    })
  }

  const nodes = Array.from({ length: plan.nodes }, (_, index) => start(index))

  /** What the store has got since it was looked at last: before what is said of it, so that a story is in order. */
  const readStore = (): void => {
    for (;;) {
      // The store in memory answers at once.
      const page = store.readFeed({ after: position, limit: FEED_PAGE }) as Awaited<ReturnType<typeof store.readFeed>>
      for (const entry of page.entries) {
        const { record, event } = entry
        if (event.type === 'task.queued') known.push({ taskId: record.taskId, owner: record.owner })
        const seen = toEventView(entry, String(entry.position))
        if (isTaskEvent(seen)) note({ type: 'committed', event: seen })
      }
      position = page.upTo
      if (page.isLast) return
    }
  }

  const settle = async (): Promise<void> => {
    await timeline.settle()
    await turnOfTheLoop()
    readStore()
  }

  const pass = async (ms: number): Promise<void> => {
    await timeline.advance(ms)
    await settle()
  }

  const tell = ({ taskId, status, persisted }: TaskRecord): void => {
    if (persisted && isFinalStatus(status)) note({ type: 'told', taskId, status })
  }

  const follow = (node: NodeProcess, index: number): void => {
    const consumer = consumers.get(index) ?? {
      owner: index === 0 ? 'bob' : 'ann',
      cursor: undefined,
      reading: undefined,
    }
    consumers.set(index, consumer)
    consumer.reading?.abort()
    const reading = new AbortController()
    consumer.reading = reading
    const { owner, cursor } = consumer
    const read = async (): Promise<void> => {
      const options = { signal: reading.signal, ...(cursor === undefined ? {} : { after: cursor }) }
      for await (const item of node.session(owner).events(options)) {
        // What a process says that is gone, and what comes after the consumer has left, reaches nobody.
        if (node.clock.state() === 'dead' || consumer.reading !== reading) return
        note({ type: 'seen', consumer: `consumer ${index + 1}`, owner, item })
        if ('cursor' in item && item.cursor !== undefined) consumer.cursor = item.cursor
      }
    }
    node.ask(read)
  }

  const steer = (kind: string, node: NodeProcess, task: number): void => {
    const found = known[known.length - 1 - task]
    if (found === undefined) return
    const { taskId } = found
    const session = node.session(found.owner as Owner)
    switch (kind) {
      case 'cancel':
        node.ask(() => session.cancel(taskId))
        break
      case 'answer':
        node.ask(async () => {
          const [question] = (await store.read(taskId))?.questions ?? []
          if (question !== undefined) await session.answer(taskId, question.key, scenario.answer ?? true)
        })
        break
      case 'send':
        node.ask(() => session.send(taskId, { hello: task }))
        break
      case 'redirect':
        node.ask(async () => {
          const record = await store.read(taskId)
          // What has ended is delivered once more by whoever is asked; here only the way of the end is of interest.
          if (record?.endedAt === undefined) await session.redirect(taskId, `mail:elsewhere-${task}`)
        })
        break
      case 'background':
        node.ask(() => session.background(taskId))
        break
      case 'attach':
        node.ask(() => session.attach(taskId, { waitMs: WAIT_MS }))
        break
      case 'look':
        node.ask(
          () => session.get(taskId),
          (record) => void (record !== undefined && tell(record)),
        )
        break
      case 'wait':
        node.ask(() => session.wait(taskId, { waitMs: WAIT_MS }), tell)
        break
    }
  }

  const peek = (node: NodeProcess, task: number, verb: number): void => {
    const found = known[known.length - 1 - task]
    if (found === undefined) return
    const { taskId } = found
    const stranger = node.session(found.owner === 'ann' ? 'bob' : 'ann')
    const [name, call] = STRANGE_VERBS[verb % STRANGE_VERBS.length] as (typeof STRANGE_VERBS)[number]
    node.ask(
      () => isFound(() => call(stranger, taskId)),
      (isThere) => {
        if (isThere !== undefined) note({ type: 'peeked', taskId, verb: name, found: isThere })
      },
    )
  }

  const nodeOf = (index: number): NodeProcess => nodes[index % nodes.length] as NodeProcess

  const act = (step: SimulationStep): void => {
    switch (step.do) {
      case 'pass':
        break
      case 'spawn': {
        const { owner } = step
        const node = nodeOf(step.node)
        node.ask(
          () => node.session(owner).spawn(...callOf(node, step.call)),
          ({ taskId }) => {
            readStore()
            note({ type: 'acknowledged', taskId, owner })
          },
        )
        break
      }
      case 'run': {
        const node = nodeOf(step.node)
        node.ask(() => node.session(step.owner).run(...callOf(node, step.call)))
        break
      }
      case 'cancelAll':
        nodeOf(step.node).ask(() => nodeOf(step.node).session(step.owner).cancelAll())
        break
      case 'peek':
        peek(nodeOf(step.node), step.task, step.verb)
        break
      case 'follow':
        follow(nodeOf(step.node), step.consumer)
        break
      case 'crash':
        nodeOf(step.node).crash(step.atCall, step.isDone)
        break
      case 'restart':
        if (nodeOf(step.node).clock.state() === 'dead')
          nodes[step.node % nodes.length] = start(step.node % nodes.length)
        break
      case 'stop':
        nodeOf(step.node).stop()
        break
      case 'pause':
        nodeOf(step.node).clock.pause()
        break
      case 'resume':
        nodeOf(step.node).clock.resume()
        break
      case 'cut':
      case 'mend':
        nodeOf(step.node).cut(step.do === 'cut')
        break
      case 'storeFault':
        nodeOf(step.node).failNext(step.fault, step.calls)
        break
      case 'channelFault':
        channelFaults = Array.from({ length: step.sends }, () => step.fault)
        break
      case 'jump':
        nodeOf(step.node).clock.jump(step.ms)
        break
      case 'cancel':
      case 'answer':
      case 'send':
      case 'redirect':
      case 'background':
      case 'attach':
      case 'wait':
      case 'look':
        steer(step.do, nodeOf(step.node), step.task)
    }
  }

  const liveCount = async (): Promise<number> =>
    Object.entries(await store.count(undefined)).reduce(
      (sum, [status, count]) => (isFinalStatus(status as TaskStatus) ? sum : sum + count),
      0,
    )

  /** Whether all it has done is in the store, and nothing keeps it from saying what it does. */
  const isThrough = ({ clock, tasks }: NodeProcess): boolean => {
    const { isReady, unsaved } = tasks.operator.health()
    return clock.state() === 'dead' || (isReady && unsaved === 0)
  }

  /**
   * Whether anything lives, in the store or in a process alone, as calls do that somebody still awaits. A process that cannot
   * say so yet is no empty one: one that opens or ends, one that has no lease, one whose store has not answered.
   */
  const isAnythingLive = async (): Promise<boolean> => {
    let count = await liveCount()
    for (const node of nodes) {
      node.ask(
        () => node.tasks.operator.stats(),
        ({ live }) => void (count += live),
      )
    }
    await settle()
    return count > 0 || !nodes.every(isThrough)
  }

  /** Makes as many calls at the same time as may run, and sees whether all begin. Awaited inline they leave no trace. */
  const tryAll = async (node: NodeProcess, owner: Owner): Promise<void> => {
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

  const restartDead = (): void => {
    for (const [index, node] of nodes.entries()) if (node.clock.state() === 'dead') nodes[index] = start(index)
  }

  /** Whatever was on its way when somebody died is seen to by one who comes after. */
  const replaceAll = async (): Promise<void> => {
    for (const node of nodes) node.crash(0, false)
    nodes.splice(0, nodes.length, start(plan.nodes))
    await pass(LAST_MS)
    // The moment of the next attempt may have been kept by one whose clock was wrong.
    for (let leftMs = settleMs; leftMs > 0 && (await isOwing()); leftMs -= HEAL_STEP_MS) await pass(HEAL_STEP_MS)
  }

  const isOwing = async (): Promise<boolean> => (await store.listDeliveries({ state: 'pending', limit: 1 })).length > 0

  return {
    nowMs: timeline.nowMs,
    async act(step) {
      act(step)
      if (step.do === 'pass') await pass(step.ms)
      else await settle()
    },
    async heal() {
      channelFaults = []
      for (const node of nodes) node.heal()
      restartDead()
      // What waits for the store to answer again is in nobody's count.
      await pass(HEAL_STEP_MS)
      restartDead()
      for (let leftMs = settleMs; leftMs > 0 && (await isAnythingLive()); leftMs -= HEAL_STEP_MS) {
        await pass(HEAL_STEP_MS)
        // One that was told to stop may have ended only now.
        restartDead()
      }
      const { records } = await store.list({ status: LIVE_STATUSES, limit: FEED_PAGE })
      for (const { taskId, status } of records) note({ type: 'stuck', taskId, status })
      if (records.length > 0) return
      // One that was taken for dead sees by now what has become of its tasks.
      await pass(HEAL_STEP_MS)
      for (const node of nodes) {
        if (node.clock.state() !== 'running' || node.isStopping()) continue
        await tryAll(node, 'ann')
        await tryAll(node, 'bob')
      }
    },
    async sumUp() {
      await replaceAll()
      const [last] = nodes as [NodeProcess]
      for (const index of consumers.keys()) follow(last, index)
      await pass(HEAL_STEP_MS)
      for (let after: number | undefined; ;) {
        const { records, next } = await store.list({ limit: FEED_PAGE, ...(after === undefined ? {} : { after }) })
        for (const { taskId, status, resultJson } of records) {
          note({ type: 'kept', taskId, status, ...(resultJson === undefined ? {} : { value: resultJson }) })
          for (const { deliveryId, state, settledAt } of await store.readOutbox(taskId)) {
            const became = state === 'delivered' ? state : settledAt === undefined ? 'owed' : 'givenUp'
            note({ type: 'delivery', deliveryId, taskId, state: became })
          }
        }
        if (next === undefined) break
        after = next
      }
      let said: Extract<HistoryFact, { type: 'counted' }>['byStatus'] = {}
      last.ask(
        () => last.tasks.operator.stats(),
        ({ byStatus }) => void (said = byStatus),
      )
      await settle()
      // One that says nothing, with nothing in its way, counts none.
      note({ type: 'counted', byStatus: said })
    },
  }
}

/**
 * Nothing of the library waits for the loop, but code of a scenario may, and whoever runs the simulation wants to be heard
 * between two steps.
 */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** What is drawn fits its tool, which the compiler cannot know. */
function callOf(node: NodeProcess, { tool, input, options = {} }: SimulatedCall): [never, never, SpawnCall] {
  return [node.tool(tool) as never, input as never, options]
}

const STRANGE_VERBS: readonly (readonly [string, (session: Session, taskId: string) => Promise<unknown>])[] = [
  ['get', (session, taskId) => session.get(taskId)],
  ['wait', (session, taskId) => session.wait(taskId, { waitMs: 1 })],
  ['result', (session, taskId) => session.result(taskId, { waitMs: 1 })],
  ['cancel', (session, taskId) => session.cancel(taskId)],
  ['redirect', (session, taskId) => session.redirect(taskId, 'mail:thief')],
  ['answer', (session, taskId) => session.answer(taskId, 'sure', true)],
  ['send', (session, taskId) => session.send(taskId, 'hello')],
  ['background', (session, taskId) => session.background(taskId)],
  ['attach', (session, taskId) => session.attach(taskId, { waitMs: 1 })],
  ['deliveries', (session, taskId) => session.deliveries(taskId)],
  [
    'list',
    async (session, taskId) => (await session.list({ limit: 1_000 })).tasks.find((record) => record.taskId === taskId),
  ],
]

/** Whether a verb has found its task; nothing when it could not tell. */
async function isFound(call: () => Promise<unknown>): Promise<boolean | undefined> {
  try {
    return (await call()) !== undefined
  } catch (error) {
    if (isTaskError(error, 'task_not_found')) return false
    const couldNotTell = !isTaskError(error) || /^store_|supervisor_closed|task_unreachable/.test(error.code)
    return couldNotTell ? undefined : true
  }
}
