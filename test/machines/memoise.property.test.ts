import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { createActor, isMachineSnapshot } from 'xstate'
import type { Actor, ActorLogic, AnyActorRef, AnyEventObject, AnyMachineSnapshot, Snapshot } from 'xstate'
import type { TaskChartEventType, TaskStateValue } from '../../machines/index.ts'
import { TASK_CHART_EVENTS, memoise, taskMachine } from '../../machines/index.ts'
import { expectReached, fc } from '../support/properties.ts'
import { SAMPLE_MACHINES } from './sample-machines.fixture.ts'
import { createInertScope, createTwins, toView } from './side-by-side.fixture.ts'
import { CHART_STATES, TASK_CHART, toStateName } from './task-chart.fixture.ts'

const memoisedTask = memoise(taskMachine)

/** A random walk: each number picks an event, most often one that keeps the task alive and moving. */
const walks = (maxLength: number): fc.Arbitrary<number[]> =>
  fc.noBias(fc.array(fc.nat(2 ** 20), { minLength: 1, maxLength, size: 'max' }))

const liveMoves = new Map(
  CHART_STATES.map((state) => [
    state,
    TASK_CHART_EVENTS.filter((type) => TASK_CHART[state][type].includes('/') || TASK_CHART[state][type] === 'self'),
  ]),
)

function pickEvent(snapshot: AnyMachineSnapshot, pick: number): TaskChartEventType {
  const moves = liveMoves.get(toStateName(snapshot.value as TaskStateValue)) ?? []
  const choices = pick % 2 > 0 && moves.length > 0 ? moves : TASK_CHART_EVENTS
  const event = choices[Math.floor(pick / 2) % choices.length]
  if (event === undefined) throw new Error('nothing to pick from')
  return event
}

const MEMBERS = ['status', 'value', 'output', 'error', 'context', 'tags', 'children', 'historyValue'] as const

function isAlike(real: AnyMachineSnapshot, memoised: AnyMachineSnapshot): boolean {
  return (
    MEMBERS.every((member) => isDeepStrictEqual(memoised[member], real[member])) &&
    isDeepStrictEqual(memoised.toJSON(), real.toJSON())
  )
}

describe('the task machine and its memoised twin', () => {
  test('agree on 100,000 random event sequences, in every state and on every event', () => {
    const scope = createInertScope()
    const pairs = new Set<string>()
    let sequences = 0
    let steps = 0
    let ended = 0
    fc.assert(
      fc.property(walks(20), (picks) => {
        sequences += 1
        let real: AnyMachineSnapshot = taskMachine.getInitialSnapshot(scope as never)
        let memoised: AnyMachineSnapshot = memoisedTask.getInitialSnapshot(scope as never)
        if (!isAlike(real, memoised)) throw new Error('they start differently')
        let stepsAfterEnd = 0
        for (const pick of picks) {
          const type = pickEvent(real, pick)
          const from = `${toStateName(real.value as TaskStateValue)} × ${type}`
          real = taskMachine.transition(real as never, { type }, scope as never)
          memoised = memoisedTask.transition(memoised as never, { type }, scope as never)
          if (!isAlike(real, memoised)) expect(memoised.toJSON(), from).toStrictEqual(real.toJSON())
          pairs.add(from)
          steps += 1
          if (real.status === 'done' && (stepsAfterEnd += 1) === 3) break
        }
        ended += Number(real.status === 'done')
      }),
      { numRuns: 100_000 },
    )
    expect(sequences).toBe(100_000)
    expect(pairs.size).toBe(CHART_STATES.length * TASK_CHART_EVENTS.length)
    // Deep enough, and through to the end often enough, for the agreement to mean something.
    expectReached({ steps }, 600_000)
    expectReached({ ended }, 20_000)
  })

  /** What a supervisor sees: which of its tasks said what. */
  interface Supervised {
    readonly heard: AnyEventObject[]
    readonly lines: string[]
    readonly actor: Actor<typeof taskMachine>
    readonly supervisor: AnyActorRef
  }

  type SupervisorEvent = AnyEventObject & { readonly child?: AnyActorRef }

  /** A parent that is no machine, with tasks that are not its snapshot's children, as the runtime has them. */
  function supervise(logic: typeof taskMachine, snapshot?: Snapshot<unknown>): Supervised {
    const heard: AnyEventObject[] = []
    const lines: string[] = []
    const active: Snapshot<unknown> = { status: 'active', output: undefined, error: undefined }
    const supervisorLogic: ActorLogic<Snapshot<unknown>, SupervisorEvent> = {
      getInitialSnapshot: () => active,
      getPersistedSnapshot: (same) => same,
      transition: (same, event, scope) => {
        if (event.child === undefined) heard.push(event)
        else scope.stopChild(event.child)
        return same
      },
    }
    const supervisor = createActor(supervisorLogic).start()
    const options = snapshot === undefined ? {} : { snapshot: snapshot as never }
    const actor = createActor(logic, { id: 'the-task', parent: supervisor, ...options })
    actor.subscribe({
      next: ({ status, value }) => lines.push(`${status} ${JSON.stringify(value)}`),
      complete: () => lines.push('complete'),
      error: (error) => lines.push(`error ${String(error)}`),
    })
    actor.start()
    return { heard, lines, actor, supervisor }
  }

  const MATCHES = [
    'completed',
    'failed',
    'cancelled',
    'live',
    { live: 'work' },
    { live: { work: 'running' } },
    { live: { caller: 'detached' } },
    { live: { work: 'waiting', caller: 'detached' } },
  ] as const

  const look = ({ actor, heard, lines }: Supervised): unknown => {
    const snapshot = actor.getSnapshot()
    return {
      ...toView(actor.logic as never, snapshot),
      can: TASK_CHART_EVENTS.filter((type) => snapshot.can({ type })),
      matches: MATCHES.filter((value) => snapshot.matches(value as never)),
      hasTag: snapshot.hasTag('any' as never),
      heard: [...heard],
      lines: [...lines],
    }
  }

  test('agree as actors under a supervisor: stored and restored, stopped, ended', () => {
    let runs = 0
    let restored = 0
    const ends = { done: 0, stopped: 0 }
    const outcomes = new Set<unknown>()
    fc.assert(
      fc.property(walks(14), fc.noBias(fc.nat(20)), (picks, restoreAt) => {
        runs += 1
        let pair = [supervise(taskMachine), supervise(memoisedTask)] as const
        const compare = (): void => {
          const [real, memoised] = [look(pair[0]), look(pair[1])]
          if (!isDeepStrictEqual(memoised, real)) expect(memoised).toStrictEqual(real)
        }
        compare()
        for (const [index, pick] of picks.entries()) {
          const [{ actor: real }, { actor: memoised }] = pair
          if (real.getSnapshot().status !== 'active') break
          const type = pickEvent(real.getSnapshot(), pick)
          real.send({ type })
          memoised.send({ type })
          compare()
          expect(isMachineSnapshot(memoised.getSnapshot())).toBe(true)
          if (index !== restoreAt) continue
          restored += 1
          const stored = [real, memoised].map((actor) => JSON.stringify(actor.getPersistedSnapshot()))
          expect(stored[1]).toBe(stored[0])
          const revive = (): Snapshot<unknown> => JSON.parse(stored[0] ?? '') as Snapshot<unknown>
          pair = [supervise(taskMachine, revive()), supervise(memoisedTask, revive())]
          compare()
        }
        const wasActive = pair[0].actor.getSnapshot().status === 'active'
        if (wasActive) for (const { supervisor, actor } of pair) supervisor.send({ type: 'stop it', child: actor })
        compare()
        const { status, value } = pair[1].actor.getSnapshot()
        expect(status).toBe(wasActive ? 'stopped' : 'done')
        ends[wasActive ? 'stopped' : 'done'] += 1
        if (!wasActive) {
          outcomes.add(value)
          expect(pair[1].heard.map(({ type }) => type)).toEqual(['xstate.done.actor.the-task'])
        }
      }),
      { numRuns: 3_000 },
    )
    expect(runs).toBe(3_000)
    expectReached({ restored, ...ends }, 300)
    expect(outcomes).toEqual(new Set(['completed', 'failed', 'cancelled']))
  })
})

describe('a memoised machine agrees with the machine', () => {
  const NUM_RUNS = 1_000

  test.each(SAMPLE_MACHINES)('on random runs of the $name machine', (sample) => {
    const twins = createTwins(sample)
    const events = new Set<string>()
    let runs = 0
    let steps = 0
    let machineSteps = 0
    fc.assert(
      fc.property(
        fc.noBias(fc.array(fc.nat(2 ** 20), { minLength: 1, maxLength: 25, size: 'max' })),
        fc.noBias(fc.nat(4)),
        (picks, limit) => {
          runs += 1
          const run = twins.start({ limit })
          for (const pick of picks) {
            if (run.isOver()) break
            const choice = Math.floor(pick / 16)
            const event = sample.events[choice % sample.events.length]
            if (pick % 16 === 0) run.restore()
            else if (pick % 16 === 1) run.advance([10, 100, 200][choice % 3] ?? 0)
            else if (event !== undefined) {
              run.send(event)
              events.add(JSON.stringify(event))
            }
          }
          if (!run.isOver()) run.stop()
          steps += run.steps
          machineSteps += run.machineSteps
        },
      ),
      { numRuns: NUM_RUNS },
    )
    expect(runs).toBe(NUM_RUNS)
    expect(events.size).toBe(sample.events.length)
    // Both ways were taken: some steps from the table, and some by the machine itself.
    expectReached({ machineSteps }, steps / 20)
    expectReached({ 'steps from the table': steps - machineSteps }, 1)
  })
})
