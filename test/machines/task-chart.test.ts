import { describe, expect, test } from 'vitest'
import { getNextTransitions, initialTransition, transition } from 'xstate'
import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import type { TaskStateValue, TaskStatus } from '../../machines/index.ts'
import {
  DELIVERY_CHART_EVENTS,
  SUPERVISOR_CHART_EVENTS,
  TASK_CHART_EVENTS,
  deliveryMachine,
  memoise,
  supervisorMachine,
  taskMachine,
  toDeliveryState,
  toTaskStatus,
} from '../../machines/index.ts'
import type { ChartOutcome, ChartStateName } from './task-chart.fixture.ts'
import { CHART_STATES, TASK_CHART, toStateName } from './task-chart.fixture.ts'

/** What the chart says: every state it can reach, by name, with the outcome of every event in it. */
interface Explored {
  readonly snapshots: ReadonlyMap<string, AnyMachineSnapshot>
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** How many pairs asked for an action. */
  readonly actionCount: number
}

function explore(
  machine: AnyStateMachine,
  events: readonly string[],
  toName: (snapshot: AnyMachineSnapshot) => string,
): Explored {
  const snapshots = new Map<string, AnyMachineSnapshot>()
  const outcomes: Record<string, Record<string, string>> = {}
  let actionCount = 0
  const [initial] = initialTransition(machine)
  const toVisit: AnyMachineSnapshot[] = [initial]
  for (let from = toVisit.pop(); from !== undefined; from = toVisit.pop()) {
    const name = toName(from)
    if (snapshots.has(name)) continue
    snapshots.set(name, from)
    const row: Record<string, string> = {}
    for (const type of events) {
      const [to, actions] = transition(machine, from, { type })
      actionCount += actions.length
      row[type] = toName(to) !== name ? `accepted -> ${toName(to)}` : from.can({ type }) ? 'self' : 'ignored'
      if (toName(to) !== name && !from.can({ type })) row[type] += ', though can() denies it'
      toVisit.push(to)
    }
    outcomes[name] = row
  }
  return { snapshots, outcomes, actionCount }
}

const toTaskStateName = (snapshot: AnyMachineSnapshot): ChartStateName => toStateName(snapshot.value as TaskStateValue)
const exploreTask = (machine: AnyStateMachine = taskMachine): Explored =>
  explore(machine, TASK_CHART_EVENTS, toTaskStateName)

const LIVE_STATES = CHART_STATES.filter((state) => state.includes('/'))
const FINAL_STATES = CHART_STATES.filter((state) => !state.includes('/'))
const CALLER_EVENTS = ['deadline.inline', 'task.background', 'task.redirect', 'task.attach', 'question.asked'] as const

const nextOf = (outcome: ChartOutcome): string | undefined =>
  outcome.startsWith('accepted -> ') ? outcome.slice('accepted -> '.length) : undefined

/** The reviewed chart, seen from outside: which events lead where from a state. */
const movesFrom = (state: ChartStateName): { readonly type: string; readonly next: string }[] =>
  TASK_CHART_EVENTS.flatMap((type) => {
    const next = nextOf(TASK_CHART[state][type])
    return next === undefined ? [] : [{ type, next }]
  })

describe('the task chart', () => {
  test('reaches exactly the eighteen live states and the three finals', () => {
    const { snapshots } = exploreTask()
    expect([...snapshots.keys()].sort()).toEqual([...CHART_STATES].sort())
    expect(CHART_STATES).toHaveLength(21)
  })

  test('does with every event in every state what the reviewed table says', () => {
    const { outcomes } = exploreTask()
    expect(outcomes).toEqual(TASK_CHART)
    expect(Object.values(TASK_CHART).flatMap((row) => Object.keys(row))).toHaveLength(21 * 22)
  })

  test('does the same when it is memoised', () => {
    expect(exploreTask(memoise(taskMachine)).outcomes).toEqual(TASK_CHART)
  })

  test('understands exactly the events of the vocabulary', () => {
    expect([...taskMachine.events].sort()).toEqual([...TASK_CHART_EVENTS].sort())
    expect(new Set(TASK_CHART_EVENTS).size).toBe(TASK_CHART_EVENTS.length)
  })

  test('ignores an event it does not know in every state', () => {
    const { snapshots } = exploreTask()
    for (const snapshot of snapshots.values()) {
      const unknown = { type: 'work.exploded' }
      expect(snapshot.can(unknown)).toBe(false)
      expect(transition<AnyStateMachine>(taskMachine, snapshot, unknown)[0]).toBe(snapshot)
    }
    expect(snapshots.size).toBe(21)
  })

  test('starts queued, with somebody awaiting the call', () => {
    expect(initialTransition(taskMachine)[0].value).toEqual({ live: { work: 'queued', caller: 'attached' } })
  })

  test.each(FINAL_STATES)('a final state has no way out: %s', (state) => {
    const final = exploreTask().snapshots.get(state)
    expect(final?.status).toBe('done')
    expect(final === undefined ? undefined : getNextTransitions(final)).toEqual([])
    expect(Object.values(TASK_CHART[state]).filter((outcome) => outcome !== 'ignored')).toEqual([])
  })

  test.each(LIVE_STATES)('a live state can reach a final: %s', (state) => {
    const reached = new Set<string>([state])
    for (const known of reached) for (const { next } of movesFrom(known as ChartStateName)) reached.add(next)
    expect(FINAL_STATES.some((final) => reached.has(final))).toBe(true)
  })

  test.each([
    ['cancelling', 'cancelled', ['teardown.finished', 'grace.expired']],
    ['timingOut', 'failed', ['teardown.finished', 'grace.expired']],
    ['interrupting', 'failed', ['teardown.finished', 'grace.expired']],
    ['failing', 'failed', ['work.retry', 'teardown.finished', 'grace.expired']],
  ] as const)('what is %s ends as %s and ignores every later cause', (work, final, exits) => {
    for (const caller of ['attached', 'detached'] as const) {
      const workMoves = movesFrom(`${work}/${caller}`).filter(({ next }) => !next.startsWith(`${work}/`))
      expect(workMoves.map(({ type }) => type).sort()).toEqual([...exits].sort())
      for (const { type, next } of workMoves) expect(next).toBe(type === 'work.retry' ? `retrying/${caller}` : final)
    }
  })

  test('the caller region moves alike whatever the work does', () => {
    for (const state of LIVE_STATES) {
      const [work, caller] = state.split('/')
      for (const type of CALLER_EVENTS) {
        const outcome = TASK_CHART[state][type]
        const next = nextOf(outcome)?.split('/')[1] ?? caller
        const expected = type === 'task.attach' ? 'attached' : 'detached'
        expect(`${work}: ${next}`).toBe(`${work}: ${expected}`)
      }
    }
  })

  test('only caller events and questions move the caller, and no caller event moves the work', () => {
    const liveMoves = LIVE_STATES.flatMap((state) =>
      movesFrom(state).flatMap(({ type, next }) => {
        const [work, caller] = state.split('/')
        const [nextWork, nextCaller] = next.split('/')
        const moved = { state, type, work: nextWork !== work, caller: nextCaller !== caller }
        return nextCaller === undefined ? [] : [moved]
      }),
    )
    const isCallerEvent = (type: string): boolean => CALLER_EVENTS.some((known) => known === type)
    expect(liveMoves.length).toBeGreaterThan(50)
    expect(liveMoves.filter(({ type, caller }) => caller && !isCallerEvent(type))).toEqual([])
    expect(liveMoves.filter(({ type, work }) => work && isCallerEvent(type) && type !== 'question.asked')).toEqual([])
  })

  test('a task that has not run, or waits to run again, ends at once when it is stopped', () => {
    for (const work of ['queued', 'retrying'] as const) {
      for (const caller of ['attached', 'detached'] as const) {
        expect(TASK_CHART[`${work}/${caller}`]['task.cancel']).toBe('accepted -> cancelled')
        expect(TASK_CHART[`${work}/${caller}`]['task.interrupt']).toBe('accepted -> failed')
      }
    }
  })

  test('every state has the status the outside sees', () => {
    const statuses = Object.fromEntries(
      [...exploreTask().snapshots].map(([name, { value }]) => [name, toTaskStatus(value as TaskStateValue)]),
    )
    const both = (work: string, status: TaskStatus) => ({ [`${work}/attached`]: status, [`${work}/detached`]: status })
    expect(statuses).toEqual({
      ...both('queued', 'queued'),
      ...both('running', 'running'),
      ...both('waiting', 'waiting'),
      ...both('retrying', 'retrying'),
      ...both('finishing', 'finishing'),
      ...both('failing', 'stopping'),
      ...both('cancelling', 'stopping'),
      ...both('timingOut', 'stopping'),
      ...both('interrupting', 'stopping'),
      completed: 'completed',
      failed: 'failed',
      cancelled: 'cancelled',
    })
  })

  test('asks for no action on any step', () => {
    expect(exploreTask().actionCount).toBe(0)
    expect(initialTransition(taskMachine)[1]).toEqual([])
  })
})

describe('the supervisor chart', () => {
  const exploreSupervisor = () =>
    explore(supervisorMachine, SUPERVISOR_CHART_EVENTS, (snapshot) => String(snapshot.value))

  test('accepts, drains and stops, and never goes back', () => {
    expect(exploreSupervisor().outcomes).toEqual({
      accepting: { 'supervisor.drain': 'accepted -> draining', 'supervisor.stop': 'accepted -> stopped' },
      draining: { 'supervisor.drain': 'ignored', 'supervisor.stop': 'accepted -> stopped' },
      stopped: { 'supervisor.drain': 'ignored', 'supervisor.stop': 'ignored' },
    })
  })

  test('starts accepting and is done when stopped', () => {
    const { snapshots } = exploreSupervisor()
    expect(initialTransition(supervisorMachine)[0].value).toBe('accepting')
    expect(Object.fromEntries([...snapshots].map(([name, { status }]) => [name, status]))).toEqual({
      accepting: 'active',
      draining: 'active',
      stopped: 'done',
    })
  })

  test('understands exactly the events of the vocabulary', () => {
    expect([...supervisorMachine.events].sort()).toEqual([...SUPERVISOR_CHART_EVENTS].sort())
  })

  test('asks for no action on any step', () => {
    expect(exploreSupervisor().actionCount).toBe(0)
  })
})

describe('the delivery chart', () => {
  const exploreDelivery = () => explore(deliveryMachine, DELIVERY_CHART_EVENTS, (snapshot) => String(snapshot.value))
  /** What a phase accepts; everything else is ignored. */
  const ACCEPTED = {
    pending: {
      'delivery.send': 'sending',
      'delivery.giveUp': 'deadLettered',
      'delivery.withdraw': 'withdrawn',
    },
    sending: {
      'delivery.accepted': 'delivered',
      'delivery.shown': 'shown',
      'delivery.failed': 'waitingToRetry',
      'delivery.giveUp': 'deadLettered',
      'delivery.interrupted': 'pending',
    },
    waitingToRetry: {
      'delivery.send': 'sending',
      'delivery.giveUp': 'deadLettered',
      'delivery.withdraw': 'withdrawn',
    },
    shown: { 'delivery.withdraw': 'withdrawn' },
    deadLettered: { 'delivery.replay': 'pending', 'delivery.withdraw': 'withdrawn' },
    delivered: {},
    withdrawn: {},
  } as const

  test('every phase accepts what it may, and ignores everything else', () => {
    const { outcomes } = exploreDelivery()
    expect(Object.keys(outcomes).sort()).toEqual(Object.keys(ACCEPTED).sort())
    for (const [phase, accepted] of Object.entries(ACCEPTED)) {
      const expected = DELIVERY_CHART_EVENTS.map((type) => [
        type,
        type in accepted ? `accepted -> ${accepted[type as keyof typeof accepted] as string}` : 'ignored',
      ])
      expect(outcomes[phase], phase).toEqual(Object.fromEntries(expected))
    }
  })

  test('nothing leaves what is delivered or withdrawn; of a dead letter a person can make something', () => {
    const { snapshots } = exploreDelivery()
    const done = [...snapshots].filter(([, { status }]) => status === 'done').map(([name]) => name)
    expect(done.sort()).toEqual(['delivered', 'withdrawn'])
  })

  test('every phase has the state the outside sees', () => {
    const states = Object.keys(ACCEPTED).map((phase) => toDeliveryState(phase as keyof typeof ACCEPTED))
    expect(states).toEqual(['pending', 'pending', 'pending', 'pending', 'deadLettered', 'delivered', 'withdrawn'])
  })

  test('understands exactly the events of the vocabulary, and asks for no action', () => {
    expect([...deliveryMachine.events].sort()).toEqual([...DELIVERY_CHART_EVENTS].sort())
    expect(exploreDelivery().actionCount).toBe(0)
  })
})

describe('a chart is pure: states and transitions, and nothing that runs', () => {
  /** What a pure chart may say of a state. Guards, actions, `invoke`, `after`, `always`, context and output are not here. */
  const STATE_KEYS = ['id', 'initial', 'type', 'states', 'on']

  /** Walks the configuration and lists what is not pure. Counts what it saw. */
  function findImpure(machine: AnyStateMachine): { impure: string[]; stateCount: number; transitionCount: number } {
    const seen = { impure: [] as string[], stateCount: 0, transitionCount: 0 }
    const visitState = (path: string, state: Record<string, unknown>): void => {
      seen.stateCount += 1
      for (const [key, said] of Object.entries(state)) {
        if (said !== undefined && !STATE_KEYS.includes(key)) seen.impure.push(`${path} has ${key}`)
      }
      for (const [type, target] of Object.entries((state['on'] ?? {}) as object)) {
        seen.transitionCount += 1
        const isName = typeof target === 'string'
        const isTarget = !isName && Object.keys(target as object).join() === 'target'
        if (!isName && !(isTarget && typeof (target as { target: unknown }).target === 'string')) {
          seen.impure.push(`${path} on ${type} has more than a target`)
        }
      }
      for (const [name, child] of Object.entries((state['states'] ?? {}) as Record<string, Record<string, unknown>>)) {
        visitState(`${path}.${name}`, child)
      }
    }
    visitState(machine.id, machine.config as unknown as Record<string, unknown>)
    return seen
  }

  test('the task chart', () => {
    expect(findImpure(taskMachine)).toEqual({ impure: [], stateCount: 1 + 1 + 2 + 9 + 2 + 3, transitionCount: 49 })
  })

  test('the supervisor chart', () => {
    expect(findImpure(supervisorMachine)).toEqual({ impure: [], stateCount: 4, transitionCount: 3 })
  })

  test('the delivery chart', () => {
    expect(findImpure(deliveryMachine)).toEqual({ impure: [], stateCount: 8, transitionCount: 14 })
  })

  test.each([taskMachine, supervisorMachine, deliveryMachine])(
    'no implementation stands behind a name: $id',
    (machine) => {
      expect(machine.implementations).toEqual({ actions: {}, actors: {}, delays: {}, guards: {} })
    },
  )
})
