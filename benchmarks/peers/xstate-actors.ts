/** XState as its documentation has it: a machine that invokes a promise and gives up `after` a while, an actor for each. */
import { assign, createActor, fromPromise, setup, toPromise } from 'xstate'
import { LIMIT_MS, type Assignment, type Peer } from './peer.ts'

export function createTaskMachine({ work }: Assignment) {
  return setup({
    types: {
      input: {} as { readonly n: number },
      context: {} as { readonly n: number; readonly value: number },
      output: {} as number,
    },
    actors: {
      work: fromPromise<number, number>(({ input, signal }) => work(input, { signal })),
    },
  }).createMachine({
    id: 'task',
    initial: 'running',
    context: ({ input }) => ({ n: input.n, value: Number.NaN }),
    output: ({ context }) => context.value,
    states: {
      running: {
        invoke: {
          src: 'work',
          input: ({ context }) => context.n,
          onDone: { target: 'completed', actions: assign({ value: ({ event }) => event.output }) },
          onError: 'failed',
        },
        after: { [LIMIT_MS]: 'failed' },
      },
      completed: { type: 'final' },
      failed: { type: 'final' },
    },
  })
}

export const xstateActors: Peer = {
  title: 'XState, an actor each (`invoke`, `after`)',
  npm: 'xstate',
  lacks: 'ids, a supervisor',
  hasSignal: true,
  maxLive: 20_000,
  open(assignment) {
    const machine = createTaskMachine(assignment)
    const start = (n: number) => createActor(machine, { input: { n } }).start()
    type Started = ReturnType<typeof start>
    return {
      call: (n) => toPromise(start(n)),
      background: {
        start,
        ended: (key) => toPromise(key as Started),
        fetch: async (key) => (key as Started).getSnapshot().output ?? Number.NaN,
      },
      close: () => undefined,
    }
  },
}
