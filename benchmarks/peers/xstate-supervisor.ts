/** XState as its documentation has it: a supervisor machine that spawns a task machine for each call, and nodes that spawn. */
import { assertEvent, createActor, setup, spawnChild, stopChild, type AnyActorRef } from 'xstate'
import type { Assignment, OpenPeer, Peer, Tree } from './peer.ts'
import { createTaskMachine } from './xstate-actors.ts'

type SupervisorEvent =
  | { readonly type: 'call'; readonly id: string; readonly n: number }
  | { readonly type: `xstate.done.actor.${string}`; readonly actorId: string; readonly output: number }

function open(assignment: Assignment): OpenPeer {
  const waiting = new Map<string, (value: number) => void>()
  const supervisorMachine = setup({
    types: { events: {} as SupervisorEvent },
    actors: { task: createTaskMachine(assignment) },
  }).createMachine({
    on: {
      call: {
        actions: spawnChild('task', {
          id: ({ event }) => event.id,
          input({ event }) {
            assertEvent(event, 'call')
            return { n: event.n }
          },
        }),
      },
      'xstate.done.actor.*': {
        actions: [
          ({ event }) => {
            waiting.get(event.actorId)?.(event.output)
            waiting.delete(event.actorId)
          },
          stopChild(({ event }) => event.actorId),
        ],
      },
    },
  })
  const supervisor = createActor(supervisorMachine).start()
  let calls = 0
  return {
    call(n) {
      calls += 1
      const id = `task-${calls}`
      const result = new Promise<number>((resolve) => waiting.set(id, resolve))
      supervisor.send({ type: 'call', id, n })
      return result
    },
    close: () => undefined,
  }
}

/** Each node is a machine that spawns its children; a stopped actor stops them. */
async function plant(parents: readonly number[]): Promise<Tree> {
  const nodeMachine = setup({
    types: { events: {} as { readonly type: 'grow'; readonly n: number } },
    actors: { node: createActorLogic() },
  }).createMachine({
    on: { grow: { actions: spawnChild('node', { id: ({ event }) => idOf(event.n) }) } },
  })
  // A machine cannot name itself among its actors before it is there.
  nodeMachine.implementations.actors['node'] = nodeMachine
  const root = createActor(nodeMachine).start()
  const nodes: AnyActorRef[] = [root]
  for (let n = 1; n < parents.length; n += 1) {
    const parent = nodes[parents[n] ?? 0] ?? root
    parent.send({ type: 'grow', n })
    const { children } = parent.getSnapshot() as { readonly children: Readonly<Record<string, AnyActorRef>> }
    const node = children[idOf(n)]
    if (node === undefined) throw new Error('a child was not spawned')
    nodes.push(node)
  }
  return {
    cancel: () => root.stop(),
    stopped: () => nodes.filter((node) => (node.getSnapshot() as { status: string }).status === 'stopped').length,
  }
}

function idOf(n: number): string {
  return `node-${n}`
}

function createActorLogic() {
  return setup({}).createMachine({})
}

export const xstateSupervisor: Peer = {
  title: 'XState, a supervisor machine (`spawnChild`, `invoke`, `after`)',
  treeTitle: 'XState, `stop` of a machine that has spawned the others',
  npm: 'xstate',
  lacks: 'background, as the supervisor keeps no results',
  hasSignal: true,
  maxLive: 2_000,
  open,
  plant,
}
