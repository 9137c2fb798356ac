/** A machine and its memoised twin, run step by step and compared in everything the outside can see. */
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'
import { SimulatedClock, createActor, isMachineSnapshot, pathToStateValue } from 'xstate'
import type {
  Actor,
  AnyActorRef,
  AnyActorScope,
  AnyEventObject,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
} from 'xstate'
import { memoise } from '../../machines/index.ts'
import type { SampleMachine, Trace } from './sample-machines.fixture.ts'

/** Counts how often the machine itself takes a step. To be called before the machine is memoised. */
export function countSteps(machine: AnyStateMachine): { read(): number; reset(): void } {
  let steps = 0
  const step = machine.transition
  machine.transition = (...args) => {
    steps += 1
    return step(...args)
  }
  return {
    read: () => steps,
    reset: () => {
      steps = 0
    },
  }
}

/** A scope for steps outside an actor, for machines that only move. */
export function createInertScope(): AnyActorScope {
  const scope = { self: {}, system: { _sendInspectionEvent: () => undefined }, actionExecutor: () => undefined }
  return scope as unknown as AnyActorScope
}

/** One of the twins, with what it did. */
interface Twin {
  readonly machine: AnyStateMachine
  readonly logic: AnyStateMachine
  readonly lines: string[]
}

export interface Run {
  /** Sends the event to both. */
  send(event: AnyEventObject): void
  /** Lets time pass for both. */
  advance(ms: number): void
  /** Stores both, and goes on with actors restored from that. */
  restore(): void
  /** Stops both. */
  stop(): void
  isOver(): boolean
  /** How many steps the twin left to its machine, and how many it was asked for. */
  readonly machineSteps: number
  readonly steps: number
}

/** Prepares the twins of a sample; each run starts a fresh pair of actors and compares them after every step. */
export function createTwins(sample: SampleMachine): { start(input: unknown): Run } {
  const create = (toLogic: (machine: AnyStateMachine) => AnyStateMachine): Twin => {
    const lines: string[] = []
    const machine = sample.create(((line) => lines.push(line)) satisfies Trace)
    return { machine, logic: toLogic(machine), lines }
  }
  const real = create((machine) => machine)
  let counted = { read: () => 0, reset: () => undefined as void }
  const twin = create((machine) => {
    counted = countSteps(machine)
    return memoise(machine)
  })
  const paths = allNodes(real.machine.root).map((node) => node.path)
  const matchable = paths.filter((path) => path.length > 0).map((path) => pathToStateValue(path))
  const look = ({ logic, lines }: Twin, actor: Actor<AnyStateMachine>): unknown => ({
    ...toView(logic, actor.getSnapshot()),
    can: sample.events.filter((event) => actor.getSnapshot().can(event)),
    matches: matchable.filter((value) => actor.getSnapshot().matches(value as never)),
    hasTag: TAGS.filter((tag) => actor.getSnapshot().hasTag(tag)),
    lines: [...lines],
  })

  return {
    start(input) {
      counted.reset()
      let steps = 0
      const story: string[] = [`input ${JSON.stringify(input)}`]
      const clocks = [new SimulatedClock(), new SimulatedClock()] as const
      const open = ({ logic, lines }: Twin, clock: SimulatedClock, snapshot?: unknown): Actor<AnyStateMachine> => {
        const options = snapshot === undefined ? { input, clock } : { snapshot: snapshot as never, clock }
        const actor: Actor<AnyStateMachine> = createActor(logic, options)
        actor.on('*', (event: AnyEventObject) => lines.push(`emitted ${event.type}`))
        actor.subscribe({
          next: ({ value }) => lines.push(`next ${JSON.stringify(value)}`),
          complete: () => lines.push('complete'),
          error: (error) => lines.push(`error ${String(error)}`),
        })
        return actor.start()
      }
      let actors = [open(real, clocks[0]), open(twin, clocks[1])] as const
      const compare = (): void => {
        const [expected, seen] = [look(real, actors[0]), look(twin, actors[1])]
        if (!isDeepStrictEqual(seen, expected)) expect(seen, story.join(', ')).toStrictEqual(expected)
      }
      const act = (name: string, step: () => void): void => {
        story.push(name)
        real.lines.length = 0
        twin.lines.length = 0
        step()
        compare()
      }
      compare()
      return {
        send: (event) =>
          act(JSON.stringify(event), () => {
            steps += 1
            for (const actor of actors) actor.send(event)
          }),
        advance: (ms) => act(`${ms} ms`, () => clocks.forEach((clock) => clock.increment(ms))),
        restore: () =>
          act('restore', () => {
            const [first, second] = actors.map(
              (actor) => JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) as unknown,
            )
            expect(second).toEqual(first)
            for (const actor of actors) actor.stop()
            actors = [open(real, clocks[0], first), open(twin, clocks[1], first)]
          }),
        stop: () => act('stop', () => actors.forEach((actor) => actor.stop())),
        isOver: () => actors[0].getSnapshot().status !== 'active',
        get machineSteps() {
          return counted.read()
        },
        get steps() {
          return steps
        },
      }
    },
  }
}

/** Every tag of the sample machines. */
const TAGS = ['dark', 'lit', 'warm', 'bright', 'left', 'right', 'low', 'high', 'settled', 'quiet', 'calm', 'in', 'none']

/** All the outside can read of a snapshot. Sets are sorted, actors and nodes are named; all else is as it is. */
export function toView(logic: AnyStateMachine, snapshot: AnyMachineSnapshot): Record<string, unknown> {
  const json = snapshot.toJSON() as Record<string, unknown>
  const persisted = logic.getPersistedSnapshot(snapshot) as unknown as Record<string, unknown>
  return {
    isMachineSnapshot: isMachineSnapshot(snapshot),
    keys: Object.keys(snapshot).sort(),
    status: snapshot.status,
    value: JSON.stringify(snapshot.value),
    output: snapshot.output as unknown,
    error: snapshot.error,
    context: snapshot.context as unknown,
    tags: [...snapshot.tags].sort(),
    meta: snapshot.getMeta(),
    nodes: snapshot._nodes.map(({ id }) => id).sort(),
    children: toChildren(snapshot.children),
    history: toHistory(snapshot.historyValue),
    json: {
      ...json,
      tags: [...(json['tags'] as string[])].sort(),
      children: toChildren(json['children'] as object),
      historyValue: toHistory(json['historyValue'] as object),
    },
    persisted: { ...persisted, historyValue: toHistory(persisted['historyValue'] as object) },
  }
}

function toChildren(children: object): Record<string, unknown> {
  const seen = Object.entries(children as Record<string, AnyActorRef>).map(([id, child]) => {
    const { status, context, value } = child.getSnapshot() as Record<string, unknown>
    return [id, { status, context, value }]
  })
  return Object.fromEntries(seen) as Record<string, unknown>
}

function toHistory(history: object): Record<string, string[]> {
  const seen = Object.entries(history as Record<string, { id: string }[]>)
  return Object.fromEntries(seen.map(([id, nodes]) => [id, nodes.map((node) => node.id).sort()]))
}

function allNodes(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values<AnyStateNode>(node.states).flatMap(allNodes)]
}
