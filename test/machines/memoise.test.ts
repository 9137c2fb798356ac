import { describe, expect, test } from 'vitest'
import { StateMachine, assign, createActor, createMachine, fromTransition, setup, spawnChild } from 'xstate'
import type { Actor, AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import { TASK_CHART_EVENTS, memoise, taskMachine } from '../../machines/index.ts'
import { actionMachine, guardedMachine, historyMachine, parallelMachine } from './sample-machines.fixture.ts'
import { countSteps, createInertScope } from './side-by-side.fixture.ts'

/** A memoised machine, what it did, and how many steps it has left to the machine. */
interface Watched {
  readonly logic: AnyStateMachine
  readonly lines: string[]
  readonly machine: AnyStateMachine
  /** Does it, and gives the number of steps the machine took for it. */
  stepsTaken(act: () => void): number
}

function watch(create: (trace: (line: string) => void) => AnyStateMachine): Watched {
  const lines: string[] = []
  const machine = create((line) => lines.push(line))
  const steps = countSteps(machine)
  return {
    machine,
    lines,
    logic: memoise(machine),
    stepsTaken(act) {
      steps.reset()
      act()
      return steps.read()
    },
  }
}

/** A copy of the task machine, so that counting leaves the one everybody uses alone. */
const watchTask = (): Watched => watch(() => taskMachine.provide({}) as unknown as AnyStateMachine)

const start = (logic: AnyStateMachine, input?: unknown): Actor<AnyStateMachine> => createActor(logic, { input }).start()

/** The actor after these events, all of them plain words. */
function walkTo(logic: AnyStateMachine, types: string, input?: unknown): Actor<AnyStateMachine> {
  const actor = start(logic, input)
  for (const type of types.split(' ')) actor.send({ type })
  return actor
}

/** Every snapshot the logic reaches by the events of the vocabulary. */
function reach(logic: AnyStateMachine): Set<AnyMachineSnapshot> {
  const scope = createInertScope()
  const reached = new Set([logic.getInitialSnapshot(scope) as AnyMachineSnapshot])
  for (const from of reached) {
    if (reached.size > 100) throw new Error('the snapshots do not come to an end')
    for (const type of TASK_CHART_EVENTS) reached.add(logic.transition(from, { type }, scope))
  }
  return reached
}

const snapshotOf = (actor: Actor<AnyStateMachine>): AnyMachineSnapshot => actor.getSnapshot() as AnyMachineSnapshot

describe('the memoised task machine', () => {
  test('answers every event of the vocabulary, in every live state, without asking the machine', () => {
    const { logic, stepsTaken } = watchTask()
    const scope = createInertScope()
    let pairs = 0
    const live = [...reach(logic)].filter(({ status }) => status === 'active')
    const steps = stepsTaken(() => {
      for (const from of live) {
        for (const type of TASK_CHART_EVENTS) {
          logic.transition(from, { type }, scope)
          pairs += 1
        }
      }
    })
    expect(pairs).toBe(18 * TASK_CHART_EVENTS.length)
    expect(steps).toBe(0)
  })

  test('is built with one step of the machine for each live state and event', () => {
    const machine = taskMachine.provide({}) as unknown as AnyStateMachine
    const steps = countSteps(machine)
    memoise(machine)
    expect(steps.read()).toBe(18 * TASK_CHART_EVENTS.length)
  })

  test('asks the machine about an event it does not know, and stays where it is', () => {
    const { logic, stepsTaken } = watchTask()
    const actor = walkTo(logic, 'work.started')
    const before = actor.getSnapshot()
    expect(stepsTaken(() => actor.send({ type: 'work.exploded' }))).toBe(1)
    expect(actor.getSnapshot()).toBe(before)
  })

  test('gives all actors in one state the same snapshot, so that a step allocates nothing', () => {
    const logic = memoise(taskMachine) as unknown as AnyStateMachine
    const first = start(logic)
    const second = start(logic)
    expect(first.getSnapshot()).toBe(second.getSnapshot())

    const direct = walkTo(logic, 'work.started task.background')
    const around = walkTo(logic, 'task.redirect work.started question.asked questions.settled task.redirect')
    expect(direct.getSnapshot().value).toEqual({ live: { work: 'running', caller: 'detached' } })
    expect(around.getSnapshot()).toBe(direct.getSnapshot())

    const ended = walkTo(logic, 'work.started work.completed')
    expect(
      walkTo(logic, 'work.started task.background work.completedWithChildren children.settled').getSnapshot(),
    ).toBe(ended.getSnapshot())
    expect(ended.getSnapshot().status).toBe('done')
  })

  test('hands out frozen snapshots, as many as there are states', () => {
    const seen = reach(memoise(taskMachine) as unknown as AnyStateMachine)
    expect(seen.size).toBe(21)
    for (const snapshot of seen) expect(Object.isFrozen(snapshot)).toBe(true)
  })

  test('takes a restored actor back into the table', () => {
    const { logic, stepsTaken } = watchTask()
    const stored = walkTo(logic, 'work.started question.asked').getPersistedSnapshot()
    const actor = createActor(logic, { snapshot: JSON.parse(JSON.stringify(stored)) as typeof stored }).start()
    expect(actor.getSnapshot().value).toEqual({ live: { work: 'waiting', caller: 'detached' } })
    expect(stepsTaken(() => actor.send({ type: 'questions.settled' }))).toBe(0)
    expect(actor.getSnapshot().value).toEqual({ live: { work: 'running', caller: 'detached' } })
  })

  test('does not answer for an actor that has stopped', () => {
    const { logic, stepsTaken } = watchTask()
    const actor = walkTo(logic, 'work.started')
    actor.stop()
    const stopped = actor.getSnapshot()
    expect(stopped.status).toBe('stopped')
    const scope = createInertScope()
    expect(stepsTaken(() => logic.transition(stopped, { type: 'task.background' }, scope))).toBe(1)
  })

  test('is still a machine to those who ask, and leaves the original as it was', () => {
    const machine = taskMachine.provide({})
    const step = machine.transition
    const logic = memoise(machine)
    expect(logic).toBeInstanceOf(StateMachine)
    expect(logic.id).toBe('task')
    expect(JSON.stringify(logic)).toBe(JSON.stringify(machine))
    expect(machine.transition).toBe(step)
    expect(Object.isFrozen(createActor(machine).getSnapshot())).toBe(false)
  })
})

describe('a step that reads or does something is taken by the machine', () => {
  test('a guarded pair asks the machine each time, a plain pair of the same state never', () => {
    const { logic, stepsTaken, lines } = watch(guardedMachine.create)
    const actor = start(logic, { limit: 2 })
    expect(stepsTaken(() => actor.send({ type: 'ADD' }))).toBe(1)
    expect(stepsTaken(() => actor.send({ type: 'ADD' }))).toBe(1)
    expect(stepsTaken(() => actor.send({ type: 'ADD' }))).toBe(1)
    expect(lines).toEqual(['hasRoom? 0 of 2', 'hasRoom? 1 of 2', 'hasRoom? 2 of 2'])
    expect(actor.getSnapshot().value).toBe('full')

    const other = start(logic, { limit: 2 })
    expect(stepsTaken(() => ['PAUSE', 'RESUME', 'TOGGLE', 'BACK'].forEach((type) => other.send({ type })))).toBe(0)
    expect(other.getSnapshot().value).toBe('open')
  })

  test('a state that no plain step reaches stays with the machine', () => {
    const { logic, stepsTaken } = watch(guardedMachine.create)
    const actor = walkTo(logic, 'ADD', { limit: 0 })
    expect(actor.getSnapshot().value).toBe('full')
    expect(stepsTaken(() => actor.send({ type: 'PAUSE' }))).toBe(1)
    expect(stepsTaken(() => actor.send({ type: 'RESUME' }))).toBe(0)
  })

  test('after such a step the table answers again, and the context stays the actor’s own', () => {
    const { logic, stepsTaken } = watch(guardedMachine.create)
    const [first, second] = [start(logic, { limit: 3 }), start(logic, { limit: 7 })]
    for (const actor of [first, second]) {
      actor.send({ type: 'BUMP' })
      actor.send({ type: 'CHECK', ok: true })
      expect(stepsTaken(() => actor.send({ type: 'TOGGLE' }))).toBe(0)
      expect(stepsTaken(() => actor.send({ type: 'RESUME' }))).toBe(0)
      expect(stepsTaken(() => actor.send({ type: 'PAUSE' }))).toBe(0)
    }
    expect(first.getSnapshot().value).toBe('paused')
    expect(first.getSnapshot().context).toEqual({ limit: 3, count: 1 })
    expect(second.getSnapshot().context).toEqual({ limit: 7, count: 1 })
  })

  test('a guard above the state counts as one of the pair', () => {
    const { logic, stepsTaken } = watch(guardedMachine.create)
    const actor = walkTo(logic, 'PAUSE TOGGLE BACK', { limit: 1 })
    expect(stepsTaken(() => actor.send({ type: 'JUMP' }))).toBe(1)
    expect(actor.getSnapshot().value).toBe('open')
  })

  test('a guard behind a wildcard counts as one of the pair', () => {
    let asked = 0
    const { logic, stepsTaken } = watch(() =>
      createMachine({
        initial: 'a',
        states: {
          a: { on: { '*': { target: 'b', guard: () => (asked += 1) > 1 } } },
          b: { on: { GO: 'a' } },
        },
      }),
    )
    expect(asked).toBe(0)
    const actor = start(logic)
    expect(stepsTaken(() => actor.send({ type: 'GO' }))).toBe(1)
    expect(actor.getSnapshot().value).toBe('a')
    expect(stepsTaken(() => actor.send({ type: 'GO' }))).toBe(1)
    expect(actor.getSnapshot().value).toBe('b')
    expect(asked).toBe(2)
  })

  test('a guard that throws does so under the same name', () => {
    const create = (): AnyStateMachine =>
      createMachine({
        initial: 'a',
        states: {
          a: {
            on: {
              GO: {
                target: 'b',
                guard: () => {
                  throw new RangeError('no')
                },
              },
            },
          },
          b: {},
        },
      })
    const errors = [create(), memoise(create())].map((logic) => {
      const scope = createInertScope()
      try {
        return logic.transition(logic.getInitialSnapshot(scope), { type: 'GO' }, scope)
      } catch (error) {
        return String(error)
      }
    })
    expect(errors[0]).toMatch('Unable to evaluate guard')
    expect(errors[1]).toBe(errors[0])
  })

  test.each([
    ['an action of the transition', 'SHOUT', 'idle', ['shout'], 1],
    // The second step is the first snapshot of the child.
    ['entry actions and an invocation', 'GO', 'working', ['in working'], 2],
    ['initial actions', 'HELP', { helping: 'gently' }, ['gently'], 1],
    ['a delay', 'WAIT', 'waiting', [], 1],
    ['`always` and entry actions', 'DECIDE', 'idle', [], 1],
    ['`always`', 'PASS', 'resting', [], 1],
    ['exit actions', 'PART', 'parting', [], 1],
    ['an invocation', 'MIND', 'minding', [], 1],
    ['the actions of a final state', 'END', 'ended', ['ended'], 1],
  ] as const)('%s', (_what, type, value, lines, steps) => {
    const watched = watch(actionMachine.create)
    const actor = walkTo(watched.logic, 'HOP HOP')
    expect(watched.stepsTaken(() => actor.send({ type }))).toBe(steps)
    expect(actor.getSnapshot().value).toEqual(value)
    expect(watched.lines).toEqual(lines)
  })

  test('the machine of actions comes back to the table from each of them', () => {
    const { logic, stepsTaken } = watch(actionMachine.create)
    const actor = start(logic)
    for (const there of [
      'SHOUT',
      'TURN',
      'SPIN',
      'GO DONE',
      'GO REST HOP',
      'HELP HOP',
      'WAIT REST HOP',
      'PASS',
      'PART HOP',
      'MIND HOP',
      'MIND MIND HOP',
    ]) {
      for (const type of there.split(' ')) actor.send({ type })
      if (actor.getSnapshot().value === 'resting') actor.send({ type: 'HOP' })
      expect([there, actor.getSnapshot().value]).toEqual([there, 'idle'])
      expect([there, stepsTaken(() => actor.send({ type: 'HOP' }))]).toEqual([there, 0])
      expect([there, stepsTaken(() => actor.send({ type: 'HOP' }))]).toEqual([there, 0])
    }
    expect(actor.getSnapshot().context.turns).toBe(2)
  })

  test('a step that ends a region or a nested state, because a done event follows', () => {
    const { logic, stepsTaken } = watch(parallelMachine.create)
    const actor = walkTo(logic, 'FLAG')
    expect(stepsTaken(() => actor.send({ type: 'STEP' }))).toBe(0)
    expect(stepsTaken(() => actor.send({ type: 'FINISH' }))).toBe(1)
    expect(actor.getSnapshot().value).toBe('settled')
    expect(stepsTaken(() => actor.send({ type: 'RESTART' }))).toBe(0)
    expect(stepsTaken(() => actor.send({ type: 'STEP' }))).toBe(0)
  })

  test('an end with an output', () => {
    const { logic, stepsTaken } = watch(historyMachine.create)
    const actor = walkTo(logic, 'other')
    expect(actor.getSnapshot().value).toBe('table')
    expect(stepsTaken(() => actor.send({ type: 'END' }))).toBe(1)
    expect(actor.getSnapshot().output).toEqual({ kind: 'tape' })
  })

  test('the entry actions of regions, where the state above them is what the transition names', () => {
    const lines: string[] = []
    const { logic, stepsTaken } = watch(() =>
      createMachine({
        initial: 'apart',
        states: {
          apart: { on: { JOIN: 'together' } },
          together: {
            type: 'parallel',
            states: {
              left: { initial: 'lit', states: { lit: { entry: () => lines.push('left is lit') } } },
              right: {},
            },
            on: { PART: 'apart' },
          },
        },
      }),
    )
    const actor = start(logic)
    for (const said of [1, 2]) {
      expect(stepsTaken(() => actor.send({ type: 'JOIN' }))).toBe(1)
      expect(lines).toEqual(Array.from({ length: said }, () => 'left is lit'))
      actor.send({ type: 'PART' })
    }
  })

  test('an error that no state handles, and an order to stop, even where the chart names them', () => {
    const create = (): AnyStateMachine =>
      createMachine({
        initial: 'a',
        states: {
          a: { on: { GO: 'b' } },
          b: { on: { 'xstate.error.actor.kid': 'a', 'xstate.stop': 'a', 'xstate.init': 'a' } },
        },
      })
    const { logic, stepsTaken, machine } = watch(create)
    const scope = createInertScope()
    for (const type of ['xstate.error.actor.kid', 'xstate.stop', 'xstate.init']) {
      const event = { type, error: new Error('lost') }
      for (const path of [[], [{ type: 'GO' }]]) {
        const run = (side: AnyStateMachine): AnyMachineSnapshot =>
          [...path, event].reduce<AnyMachineSnapshot>(
            (snapshot, next) => side.transition(snapshot, next, scope),
            side.getInitialSnapshot(scope),
          )
        let memoised: AnyMachineSnapshot | undefined
        stepsTaken(() => (memoised = run(logic)))
        const real = run(machine)
        expect([memoised?.status, memoised?.value, memoised?.error]).toEqual([real.status, real.value, real.error])
      }
    }
    const actor = start(logic)
    expect(stepsTaken(() => ['GO', 'xstate.error.actor.kid', 'GO'].forEach((type) => actor.send({ type })))).toBe(0)
  })

  test('the event `*` is refused as the machine refuses it', () => {
    const { logic } = watch(historyMachine.create)
    const scope = createInertScope()
    expect(() => logic.transition(logic.getInitialSnapshot(scope), { type: '*' }, scope)).toThrow('wildcard type')
  })
})

describe('a snapshot with something of its own is never answered from the table', () => {
  test('a spawned child survives a plain step', () => {
    const { logic, stepsTaken } = watch(actionMachine.create)
    const actor = walkTo(logic, 'SPAWN')
    const child = snapshotOf(actor).children['spawned']
    expect(child).toBeDefined()
    expect(stepsTaken(() => actor.send({ type: 'HOP' }))).toBe(1)
    expect(actor.getSnapshot().value).toBe('resting')
    expect(snapshotOf(actor).children['spawned']).toBe(child)
  })

  test('when the child is gone the table answers again', () => {
    const { logic, stepsTaken } = watch(actionMachine.create)
    const actor = walkTo(logic, 'SPAWN HOP DROP')
    expect(snapshotOf(actor).children).toEqual({})
    expect(stepsTaken(() => actor.send({ type: 'HOP' }))).toBe(0)
    const untouched = walkTo(logic, 'HOP HOP')
    expect(actor.getSnapshot()).toBe(untouched.getSnapshot())
  })

  test('a remembered state is found again, and kept over plain steps', () => {
    const { logic, stepsTaken } = watch(historyMachine.create)
    const actor = walkTo(logic, 'tape.in PLAY FASTER EJECT')
    expect(Object.keys(snapshotOf(actor).historyValue)).toEqual([
      'history.player.playing.last',
      'history.player.recent',
    ])
    expect(stepsTaken(() => actor.send({ type: 'tape.out' }))).toBe(1)
    expect(stepsTaken(() => actor.send({ type: 'tape.again' }))).toBe(1)
    expect(actor.getSnapshot().value).toEqual({ player: { playing: 'fast' } })
    expect(stepsTaken(() => actor.send({ type: 'FASTER' }))).toBe(1)
  })

  test('a restored snapshot keeps what it carries', () => {
    const { logic, machine } = watch(historyMachine.create)
    const stored = start(logic).getPersistedSnapshot() as unknown as Record<string, unknown>
    for (const carried of [{ output: null }, { error: null }]) {
      const [real, memoised] = [machine, logic].map((side) =>
        createActor(side, { snapshot: { ...stored, ...carried } as never }).getSnapshot(),
      )
      expect(memoised?.toJSON()).toEqual(real?.toJSON())
      expect(memoised).toMatchObject(carried)
    }
  })

  test('before anything is remembered, plain steps inside are answered from the table', () => {
    const { logic, stepsTaken } = watch(historyMachine.create)
    const actor = start(logic)
    expect(stepsTaken(() => ['tape.in', 'PLAY'].forEach((type) => actor.send({ type })))).toBe(0)
    expect(actor.getSnapshot().value).toEqual({ player: { playing: 'slow' } })
  })
})

describe('regions', () => {
  test('move in one step, and share the snapshot of the result', () => {
    const { logic, stepsTaken } = watch(parallelMachine.create)
    const [together, apart] = [start(logic), start(logic)]
    expect(stepsTaken(() => together.send({ type: 'STEP' }))).toBe(0)
    expect(stepsTaken(() => ['RIGHT', 'LEFT'].forEach((type) => apart.send({ type })))).toBe(0)
    expect(together.getSnapshot().value).toEqual({ apart: { left: 'b', right: 'y', flag: 'down' } })
    expect(apart.getSnapshot()).toBe(together.getSnapshot())
  })

  test('beside a history state are answered from the table until there is history', () => {
    const { logic, stepsTaken } = watch(() =>
      createMachine({
        id: 'm',
        initial: 'p',
        states: {
          p: {
            type: 'parallel',
            on: { OUT: 'q' },
            states: {
              one: { initial: 'a', states: { a: { on: { GO: 'b' } }, b: { on: { GO: 'a' } } } },
              two: {},
              last: { type: 'history', history: 'deep' },
            },
          },
          q: { on: { BACK: 'p.last', GO: 'p' } },
        },
      }),
    )
    const actor = start(logic)
    expect(stepsTaken(() => actor.send({ type: 'GO' }))).toBe(0)
    expect(stepsTaken(() => ['OUT', 'BACK'].forEach((type) => actor.send({ type })))).toBe(2)
    expect(actor.getSnapshot().value).toEqual({ p: { one: 'b', two: {} } })
  })

  test('act in the order in which a restored snapshot lists them', () => {
    const orders = [
      parallelMachine.create,
      (trace: (line: string) => void) => memoise(parallelMachine.create(trace)),
    ].map((create) => {
      const lines: string[] = []
      const logic = create((line) => lines.push(line))
      const stored = {
        ...(start(logic).getPersistedSnapshot() as unknown as Record<string, unknown>),
        value: { apart: { flag: 'up', right: 'x', left: 'a' } },
      }
      const actor = createActor(logic, { snapshot: stored as never }).start()
      for (const type of ['STEP', 'BOTH']) actor.send({ type })
      return lines
    })
    expect(orders[0]).toEqual(['flag', 'right', 'left'])
    expect(orders[1]).toEqual(orders[0])
  })
})

describe('memoising calls none of the machine’s own code', () => {
  /** Code that must not run, and the names of what did. */
  function createTraps(): { calls: string[]; refuse(name: string): () => never } {
    const calls: string[] = []
    return {
      calls,
      refuse: (name) => () => {
        calls.push(name)
        throw new Error(`${name} was called`)
      },
    }
  }

  test('whatever its states would do when they are entered', () => {
    const { calls, refuse } = createTraps()
    const machine = setup({
      actions: { act: refuse('act') },
      guards: { guard: refuse('guard') },
      actors: { child: fromTransition(refuse('child'), refuse('input')) },
    }).createMachine({
      context: refuse('context') as never,
      output: refuse('output') as never,
      initial: 'a',
      states: {
        a: { on: { B: 'b', C: 'c', D: 'd', E: 'e', F: 'f', G: 'g', H: 'h', I: 'i', J: 'j', K: 'k.two', M: 'm.inner' } },
        b: { entry: assign(refuse('assign') as never) },
        c: { invoke: { src: 'child', input: refuse('invoke input') as never } },
        d: { always: { guard: 'guard', target: 'a' } },
        e: { type: 'final', output: refuse('final output') as never },
        f: { type: 'final' },
        g: {
          initial: 'over',
          onDone: { guard: 'guard', target: 'a' },
          states: { over: { type: 'final', output: refuse('nested output') as never } },
        },
        h: { entry: spawnChild('child', { input: refuse('spawn input') as never }) },
        i: { initial: { target: 'x', actions: assign(refuse('initial') as never) }, states: { x: {} } },
        j: {
          initial: 'past',
          states: {
            past: { type: 'history', target: 'noisy' },
            noisy: { entry: assign(refuse('after history') as never) },
          },
        },
        m: { entry: assign(refuse('above') as never), initial: 'outer', states: { outer: {}, inner: {} } },
        k: {
          type: 'parallel',
          states: {
            one: { initial: 'noisy', states: { noisy: { entry: assign(refuse('region') as never) } } },
            two: { initial: 'still', states: { still: { on: { L: '#still.left' } }, left: {} }, id: 'still' },
          },
        },
      },
    })
    const logic = memoise(machine)
    expect(calls).toEqual([])
    // The traps are armed: the machine's own start springs one.
    expect(logic.getInitialSnapshot(createInertScope()).status).toBe('error')
    expect(calls).toEqual(['context'])
  })

  test('nor what a last state would give, where nobody reads it', () => {
    const { calls, refuse } = createTraps()
    const machine = createMachine({
      initial: 'a',
      states: { a: { on: { GO: 'over' } }, over: { type: 'final', output: refuse('last output') as never } },
    })
    const logic = memoise(machine)
    expect(calls).toEqual([])
    const actor = createActor(logic)
    actor.subscribe({ error: () => undefined })
    actor.start().send({ type: 'GO' })
    expect(calls).toEqual(['last output'])
  })

  test('not even where the machine starts', () => {
    const calls: string[] = []
    const create = (): AnyStateMachine =>
      createMachine({
        initial: 'busy',
        states: {
          busy: {
            entry: assign(() => {
              calls.push('entry')
              return {}
            }),
            always: 'idle',
          },
          idle: { on: { GO: 'busy' } },
        },
      })
    const logic = memoise(create())
    expect(calls).toEqual([])
    start(logic)
    expect(calls).toEqual(['entry'])
    start(logic)
    expect(calls).toEqual(['entry', 'entry'])
  })

  test.each([
    ['an entry action', { initial: 'a', states: { a: { entry: 'act' } } }],
    [
      'an inner end',
      { initial: 'a', states: { a: { initial: 'x', states: { x: { type: 'final' } }, onDone: { actions: 'act' } } } },
    ],
    ['initial actions', { initial: { target: 'a', actions: 'act' }, states: { a: {} } }],
    ['an end', { initial: 'a', states: { a: { type: 'final', entry: 'act' } } }],
  ] as const)('a machine that starts with %s does so for each actor', (_what, config) => {
    const acted: AnyEventObject[] = []
    const create = (): AnyStateMachine =>
      createMachine(config as never, {
        actions: { act: ({ event }) => acted.push(event) },
      }) as unknown as AnyStateMachine
    const real = start(create())
    const actsOfOne = acted.length
    expect(actsOfOne).toBe(1)
    const logic = memoise(create())
    expect(acted).toHaveLength(actsOfOne)
    const actors = [start(logic), start(logic)]
    expect(acted).toHaveLength(3 * actsOfOne)
    for (const actor of actors) expect(actor.getSnapshot().status).toBe(real.getSnapshot().status)
  })
})

describe('contexts', () => {
  test('a fixed context is shared, and changed by one actor for that actor alone', () => {
    const { logic, stepsTaken } = watch(actionMachine.create)
    const [first, second] = [start(logic), start(logic)]
    expect(first.getSnapshot()).toBe(second.getSnapshot())
    first.send({ type: 'TURN' })
    expect(stepsTaken(() => first.send({ type: 'HOP' }))).toBe(0)
    expect(stepsTaken(() => second.send({ type: 'HOP' }))).toBe(0)
    expect(first.getSnapshot().context).toEqual({ turns: 1, ticks: 0 })
    expect(second.getSnapshot().context).toEqual({ turns: 0, ticks: 0 })
  })

  test('an event that changes nothing leaves an actor with its very snapshot', () => {
    const { logic, stepsTaken } = watch(guardedMachine.create)
    const actor = walkTo(logic, 'PAUSE', { limit: 4 })
    const before = actor.getSnapshot()
    expect(stepsTaken(() => actor.send({ type: 'PAUSE' }))).toBe(0)
    expect(actor.getSnapshot()).toBe(before)
    expect(stepsTaken(() => actor.send({ type: 'unknown' }))).toBe(1)
    expect(actor.getSnapshot()).toBe(before)
  })

  test('a context made from the input is each actor’s own from the start', () => {
    const { logic, stepsTaken } = watch(guardedMachine.create)
    const actor = start(logic, { limit: 4 })
    const { context } = actor.getSnapshot()
    expect(context).toEqual({ limit: 4, count: 0 })
    expect(stepsTaken(() => actor.send({ type: 'PAUSE' }))).toBe(0)
    expect(actor.getSnapshot().context).toBe(context)
  })
})
