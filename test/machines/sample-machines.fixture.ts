/**
 * Five machines that `memoise` has to agree with: each has plain steps the table may answer, and steps it may not.
 * What a machine's own code does is written to the trace, so that two runs can be compared in what they did.
 */
import {
  and,
  assign,
  createMachine,
  emit,
  fromTransition,
  not,
  raise,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import type { AnyEventObject, AnyStateMachine } from 'xstate'

export type Trace = (line: string) => void

export interface SampleMachine {
  readonly name: string
  /** Every event worth sending, known and unknown. */
  readonly events: readonly AnyEventObject[]
  create(trace: Trace): AnyStateMachine
}

const toEvents = (types: string): AnyEventObject[] => types.split(' ').map((type) => ({ type }))

/** Three levels, tags, meta, a fixed context, forbidden and re-entering transitions, and an inner end that is awaited. */
const nestedMachine: SampleMachine = {
  name: 'nested',
  events: toEvents('POWER GO STOP NEXT RESET INNER JUMP LOCK BREAK xstate.done.state.nested.on.busy unknown'),
  create: () =>
    createMachine({
      id: 'nested',
      context: { room: 'kitchen' },
      initial: 'off',
      on: { JUMP: '#nested.on.busy.second' },
      states: {
        off: { tags: 'dark', meta: { light: 'none' }, on: { POWER: 'on', STOP: {} } },
        on: {
          tags: ['lit', 'warm'],
          initial: 'idle',
          on: {
            POWER: 'off',
            RESET: { target: 'on', reenter: true },
            BREAK: 'broken',
            INNER: '.busy',
            LOCK: '.locked',
          },
          states: {
            idle: { on: { GO: 'busy' } },
            busy: {
              tags: 'warm',
              initial: 'first',
              on: { STOP: 'idle', GO: '.second', BREAK: {} },
              onDone: 'idle',
              states: {
                first: { meta: { light: 'low' }, on: { NEXT: 'second', RESET: 'first' } },
                second: { meta: { light: 'high' }, tags: 'bright', on: { NEXT: 'third', POWER: {} } },
                third: { type: 'final' },
              },
            },
            locked: { on: { POWER: {}, JUMP: {}, LOCK: 'idle', RESET: { target: 'locked', reenter: true } } },
          },
        },
        broken: { type: 'final', tags: 'dark' },
      },
    }),
}

/** Three regions that move alone, together and across each other; when all have ended, the machine goes on. */
export const parallelMachine: SampleMachine = {
  name: 'parallel',
  events: toEvents('STEP LEFT RIGHT FLAG CROSS BOTH AGAIN RESTART FINISH LEAVE unknown'),
  create: (trace) =>
    createMachine({
      id: 'parallel',
      initial: 'apart',
      states: {
        apart: {
          type: 'parallel',
          on: { LEAVE: 'left', RESTART: { target: 'apart', reenter: true } },
          onDone: 'settled',
          states: {
            left: {
              tags: 'left',
              initial: 'a',
              on: { BOTH: { actions: () => trace('left') }, AGAIN: { target: '.a', reenter: true } },
              states: {
                a: { tags: 'low', on: { STEP: 'b', LEFT: 'b' } },
                b: { tags: 'high', on: { STEP: 'a', LEFT: 'a', FINISH: 'end', CROSS: '#parallel.apart.right.y' } },
                end: { type: 'final' },
              },
            },
            right: {
              tags: 'right',
              initial: 'x',
              on: { BOTH: { actions: () => trace('right') }, AGAIN: '.x' },
              states: {
                x: { tags: 'low', on: { STEP: 'y', RIGHT: 'y' } },
                y: { tags: 'high', on: { STEP: 'x', RIGHT: 'x', FINISH: 'end' } },
                end: { type: 'final' },
              },
            },
            flag: {
              initial: 'down',
              states: {
                down: { meta: { colour: 'grey' }, on: { FLAG: 'up' } },
                up: {
                  meta: { colour: 'red' },
                  on: { FLAG: 'down', FINISH: 'gone', BOTH: { actions: () => trace('flag') } },
                },
                gone: { type: 'final' },
              },
            },
          },
        },
        settled: { tags: 'settled', on: { RESTART: 'apart', LEAVE: 'left' } },
        left: { type: 'final' },
      },
    }),
}

/** Each actor makes its own context from its input; guards read it, actions change it, plain steps carry it along. */
export const guardedMachine: SampleMachine = {
  name: 'guarded',
  events: [
    ...toEvents('ADD PAUSE RESUME BUMP DRAIN TOGGLE BACK JUMP END unknown'),
    { type: 'CHECK', ok: true },
    { type: 'CHECK', ok: false },
  ],
  create: (trace) =>
    setup({
      types: {} as { context: { limit: number; count: number }; input: { limit: number }; events: AnyEventObject },
      guards: {
        hasRoom: ({ context }) => {
          trace(`hasRoom? ${context.count} of ${context.limit}`)
          return context.count < context.limit
        },
        isOpenMinded: ({ context }) => context.limit > 1,
      },
    }).createMachine({
      id: 'guarded',
      context: ({ input }) => ({ limit: input.limit, count: 0 }),
      initial: 'open',
      on: { JUMP: { guard: 'isOpenMinded', target: '.checked' } },
      states: {
        open: {
          on: {
            ADD: [
              { guard: 'hasRoom', actions: assign({ count: ({ context }) => context.count + 1 }) },
              { target: 'full' },
            ],
            CHECK: { guard: ({ event }) => event['ok'] === true, target: 'checked' },
            BUMP: { actions: assign({ count: ({ context }) => context.count + 1 }) },
            PAUSE: 'paused',
            TOGGLE: 'checked',
          },
        },
        paused: { tags: 'quiet', on: { RESUME: 'open', PAUSE: {}, TOGGLE: 'checked', JUMP: {} } },
        full: { on: { DRAIN: { target: 'open', actions: assign({ count: 0 }) }, PAUSE: 'paused', END: 'ended' } },
        checked: {
          on: {
            BACK: 'open',
            JUMP: [{ guard: and(['isOpenMinded', not('hasRoom')]), target: 'full' }, { target: 'paused' }],
            TOGGLE: 'paused',
          },
        },
        ended: { type: 'final' },
      },
    }),
}

const counterLogic = fromTransition(
  (count: number, event: AnyEventObject) => (event.type === 'TICK' ? count + 1 : count),
  0,
)

const briefMachine = createMachine({
  id: 'brief',
  initial: 'busy',
  states: { busy: { on: { FINISH: 'over' } }, over: { type: 'final' } },
})

/** Everything a chart can do besides moving: it acts, raises, emits, spawns, invokes, waits and decides by itself. */
export const actionMachine: SampleMachine = {
  name: 'action',
  events: toEvents(
    'GO HOP REST SPAWN DROP TICK SHOUT TURN SPIN DECIDE PASS PART MIND WAIT HELP FINISH DONE END unknown',
  ),
  create: (trace) =>
    setup({
      types: {} as { context: { turns: number; ticks: number }; events: AnyEventObject; emitted: AnyEventObject },
      actors: { counter: counterLogic, brief: briefMachine },
    }).createMachine({
      id: 'action',
      context: { turns: 0, ticks: 0 },
      initial: 'idle',
      on: { SPAWN: { actions: spawnChild('counter', { id: 'spawned' }) }, DROP: { actions: stopChild('spawned') } },
      states: {
        idle: {
          on: {
            GO: 'working',
            HOP: 'resting',
            SHOUT: { actions: [emit({ type: 'shouted' }), () => trace('shout')] },
            TURN: { actions: assign({ turns: ({ context }) => context.turns + 1 }) },
            SPIN: { actions: [raise({ type: 'TURN' }), raise({ type: 'HOP' })] },
            DECIDE: 'deciding',
            PASS: 'passing',
            PART: 'parting',
            MIND: 'minding',
            WAIT: 'waiting',
            HELP: 'helping',
            END: 'ended',
          },
        },
        resting: { tags: 'calm', on: { HOP: 'idle', REST: 'dozing', TURN: 'resting' } },
        dozing: { on: { REST: 'resting', HOP: 'idle', SPIN: { target: 'dozing', reenter: true } } },
        working: {
          entry: [() => trace('in working'), emit({ type: 'started' })],
          exit: () => trace('out of working'),
          invoke: {
            src: 'counter',
            id: 'counting',
            onSnapshot: { actions: assign({ ticks: ({ context }) => context.ticks + 1 }) },
          },
          on: { TICK: { actions: sendTo('counting', { type: 'TICK' }) }, DONE: 'idle', REST: 'resting' },
        },
        deciding: {
          entry: assign({ turns: ({ context }) => context.turns + 1 }),
          always: [{ guard: ({ context }) => context.turns % 2 === 0, target: 'resting' }, { target: 'idle' }],
        },
        passing: { always: 'resting' },
        parting: { exit: () => trace('parted'), on: { HOP: 'idle', REST: 'resting' } },
        minding: { invoke: { src: 'counter', id: 'minded' }, on: { HOP: 'idle', MIND: 'helping.firmly' } },
        waiting: {
          after: { 100: 'idle', 250: 'ended' },
          on: { REST: 'resting', WAIT: { target: 'waiting', reenter: true } },
        },
        helping: {
          initial: { target: 'gently', actions: () => trace('gently') },
          invoke: { src: 'brief', id: 'brief', onDone: { target: 'resting', actions: () => trace('helped') } },
          on: { FINISH: { actions: sendTo('brief', { type: 'FINISH' }) }, HOP: 'idle' },
          states: { gently: { on: { TURN: 'firmly' } }, firmly: { exit: raise({ type: 'SHOUT' }) } },
        },
        ended: { type: 'final', entry: () => trace('ended') },
      },
    }),
}

/** Shallow and deep history, whole and partial wildcards, and an output of the machine. */
export const historyMachine: SampleMachine = {
  name: 'history',
  events: toEvents(
    'PLAY STOP FASTER EJECT tape.in tape.again tape.out.side tape RESUME END other xstate.done.actor.ghost',
  ),
  create: (trace) =>
    createMachine({
      id: 'history',
      context: { kind: 'tape' },
      output: ({ context }) => ({ kind: (context as { kind: string }).kind }),
      initial: 'shelf',
      states: {
        shelf: { on: { 'tape.in': 'player', '*': 'table', 'tape.again': 'player.recent' } },
        table: {
          on: {
            'tape.*': 'shelf',
            'tape.in': 'player',
            PLAY: { actions: () => trace('nothing to play') },
            END: 'ended',
          },
        },
        player: {
          tags: 'in',
          initial: 'stopped',
          on: { EJECT: 'table', 'tape.*': '.stopped', END: 'ended' },
          states: {
            stopped: { on: { PLAY: 'playing', RESUME: 'playing.last' } },
            playing: {
              initial: 'slow',
              on: { STOP: 'stopped' },
              states: {
                slow: { on: { FASTER: 'fast' } },
                fast: { on: { FASTER: 'slow', 'tape.*': 'slow' } },
                last: { type: 'history' },
              },
            },
            recent: { type: 'history', history: 'deep' },
          },
        },
        ended: { type: 'final' },
      },
    }),
}

export const SAMPLE_MACHINES: readonly SampleMachine[] = [
  nestedMachine,
  parallelMachine,
  guardedMachine,
  actionMachine,
  historyMachine,
]
