/**
 * A simulated process: a supervisor with a clock, a line to the store and channels of its own. When it is gone its memory
 * is still there, for JavaScript has no other way, but nothing of it reaches the clock, the store, a channel or a caller.
 */
import { createTaskSupervisor, type TaskSupervisor } from '../../task-supervisor.ts'
import type { Channel } from '../../ports/channel.ts'
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { Session } from '../../ports/session.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { AnyToolDefinition } from '../../ports/tool.ts'
import { faultyStore, type StoreCall, type StoreFault } from '../faulty-store.ts'
import type { Owner } from './plan.ts'
import { createRandom } from './random.ts'
import type { Scenario, SimulatedProcess } from './scenario.ts'
import { START_AT, type ProcessClock, type Timeline } from './timeline.ts'

export interface NodeProcess {
  readonly name: string
  readonly clock: ProcessClock
  readonly tasks: TaskSupervisor
  /** `parentId`: inside of that task. */
  session(owner: Owner, parentId?: string): Session
  /** @throws TypeError when the scenario has no such tool */
  tool(name: string): AnyToolDefinition
  /** What it is asked from outside, and answers; nothing when it is gone before. */
  ask<Answer>(call: () => Promise<Answer>, onAnswer?: (answer: Answer) => void): void
  /** 0: at once; else at that call to the store from here. */
  crash(atCall: number, isDone: boolean): void
  /** Ends it in order. */
  stop(): void
  isStopping(): boolean
  cut(isCut: boolean): void
  failNext(fault: StoreFault, calls: number): void
  /** Nothing goes wrong with it from now on; gone it stays. */
  heal(): void
}

export interface ProcessParts {
  readonly scenario: Scenario
  readonly timeline: Timeline
  readonly store: TaskStore
  readonly createId: () => string
  readonly name: string
  /** Of this life of the process. */
  readonly seed: number
  readonly send: Channel['send']
  readonly effect: SimulatedProcess['effect']
}

/** How long a delayed call to the store takes, in milliseconds. */
const MAX_DELAY_MS = 1_500
/** How long a process may take that ends in order. */
const STOP_GRACE_MS = 400
/** What is longer comes in several messages. */
const MAX_MESSAGE_CHARS = 500
const never = (): Promise<never> => new Promise(() => undefined)

export function startProcess({ scenario, timeline, name, seed, ...parts }: ProcessParts): NodeProcess {
  const clock = timeline.createClock()
  const random = createRandom(seed)
  const isGone = (): boolean => clock.state() === 'dead'
  let isCut = false
  let isStopping = false
  let crashIn: { calls: number; readonly isDone: boolean } | undefined
  let faults: StoreFault[] = []

  const decide = ({ isRead }: StoreCall): StoreFault | undefined => {
    if (isGone()) return 'hang'
    if (crashIn !== undefined) {
      crashIn.calls -= 1
      if (crashIn.calls === 0) {
        clock.kill()
        return crashIn.isDone ? 'failAfter' : 'failBefore'
      }
    }
    if (isCut) return 'failBefore'
    const fault = faults.shift()
    return fault === 'stale' && !isRead ? undefined : fault
  }

  const at = (): number => START_AT + timeline.nowMs()
  const { cluster } = parts.store
  /** The store has a clock of its own, and what it tells comes over the line. */
  const near: TaskStore = {
    ...parts.store,
    durability: 'process',
    incarnation: 'simulated',
    ...(cluster === undefined
      ? {}
      : { cluster: withClock(cluster, at, { isGone, tell: (hint) => isCut || clock.deliver(hint) }) }),
  }
  const store = faultyStore(near, decide, { delay: () => clock.sleep(random.below(MAX_DELAY_MS)) })

  const process: SimulatedProcess = {
    name,
    sleep: clock.sleep,
    random01: random,
    effect: (effect, data) => void (isGone() || parts.effect(effect, data)),
  }
  const channel: Channel = {
    limits: { maxChars: MAX_MESSAGE_CHARS },
    send: (message) => (isGone() ? never() : parts.send(message)),
  }
  const tools = scenario.tools(process)
  const tasks = createTaskSupervisor({
    lineage: 'explicit',
    logger: { warn: () => undefined, error: () => undefined },
    ...scenario.settings,
    retention: { maxFinished: Infinity, finishedMs: Infinity, ...scenario.settings?.retention },
    tools,
    channels: { mail: channel },
    store,
    clock,
    createId: parts.createId,
    random01: random,
  })
  const sessions: { [Name in Owner]?: Session } = {}

  const node: NodeProcess = {
    name,
    clock,
    tasks,
    session(owner, parentId) {
      if (parentId !== undefined) return tasks.session({ owner, parentId })
      return (sessions[owner] ??= tasks.session({ owner }))
    },
    tool(wanted) {
      const tool = tools.find((known) => known.name === wanted)
      if (tool === undefined) throw new TypeError(`the scenario has no tool ${wanted}`)
      return tool
    },
    ask(call, onAnswer = () => undefined) {
      if (clock.state() !== 'running' || isStopping) return
      call().then(
        (answer) => clock.deliver(() => onAnswer(answer)),
        // A refusal is an answer that tells nothing here.
        () => undefined,
      )
    },
    crash(atCall, isDone) {
      if (atCall === 0) clock.kill()
      else crashIn = { calls: atCall, isDone }
    },
    stop() {
      if (clock.state() !== 'running' || isStopping) return
      const end = (): void => clock.deliver(clock.kill)
      tasks.shutdown({ graceMs: STOP_GRACE_MS }).then(end, end)
      isStopping = true
    },
    isStopping: () => isStopping,
    cut: (cutNow) => void (isCut = cutNow),
    failNext: (fault, calls) => void (faults = Array.from({ length: calls }, () => fault)),
    heal() {
      isCut = false
      faults = []
      crashIn = undefined
      clock.correct()
      clock.resume()
    },
  }
  node.ask(() => tasks.start())
  return node
}

function withClock(
  cluster: ClusterStore,
  at: () => number,
  line: { readonly isGone: () => boolean; readonly tell: (hint: () => void) => void },
): ClusterStore {
  return {
    ...cluster,
    join: (lease) => cluster.join({ ...lease, now: at() }),
    renew: (lease) => cluster.renew({ ...lease, now: at() }),
    leave: (leaver) => cluster.leave({ ...leaver, now: at() }),
    sweep: () => cluster.sweep({ now: at() }),
    watch(onHint) {
      const stop = cluster.watch((hint) => {
        if (line.isGone()) stop()
        else line.tell(() => onHint(hint))
      })
      return stop
    },
  }
}
