/** outlive itself: as it comes, in its variants, and with everything that a call can ask for. */
import {
  callbackChannel,
  defineTool,
  type RunOutcome,
  type TaskContext,
  type TaskHandle,
  type TaskSupervisor,
} from 'outlive'
import { z } from 'zod'
import { createBenchSupervisor, type Variant } from '../measuring.ts'
import { LIMIT_MS, type Assignment, type OpenPeer, type Peer, type Tree } from './peer.ts'

function openWith(variant: Variant, { work, readsSignal }: Assignment): OpenPeer {
  const supervisor = createBenchSupervisor(variant, {
    inlineMs: LIMIT_MS,
    retention: { maxFinished: Infinity, finishedMs: Infinity },
  })
  const session = supervisor.session({ owner: 'bench' })
  const tool = readsSignal
    ? (n: number, ctx: TaskContext): Promise<number> => work(n, ctx)
    : (n: number): Promise<number> => work(n)
  return {
    call: (n) => session.run(tool, n).then(valueOf),
    background: {
      start: (n) => session.spawn(tool, n),
      ended: (key) => (key as TaskHandle<number>).wait(),
      fetch: (key) => (key as TaskHandle<number>).result(),
    },
    close: () => endOf(supervisor),
  }
}

function openEverything({ work }: Assignment): OpenPeer {
  const supervisor = createBenchSupervisor('memoised', {
    inlineMs: LIMIT_MS,
    channels: { log: callbackChannel(() => undefined) },
  })
  const session = supervisor.session({ owner: 'bench', conversation: 'c-1', origin: 'log:c-1' })
  const host = new AbortController()
  let heard = 0
  const watching = session.events$({ after: 'now' }).subscribe(() => (heard += 1))
  const tool = defineTool({
    name: 'plus_one',
    description: 'Adds one.',
    input: z.object({ n: z.number() }),
    policy: {
      retry: { maxAttempts: 3 },
      attemptTimeoutMs: LIMIT_MS,
      timeoutMs: LIMIT_MS,
      concurrencyKey: ({ n }) => `key-${n}`,
      onBusy: 'queue',
      durable: true,
    },
    async run({ n }, ctx) {
      ctx.progress({ done: 0, total: 1 })
      ctx.emit('seen', { n })
      return work(n, ctx)
    },
  })
  return {
    call: (n) =>
      session
        .run(
          tool,
          { n },
          {
            name: `call-${n}`,
            metadata: { n },
            correlation: { runId: 'run-1', callId: `call-${n}` },
            budget: { tokens: 1_000 },
            priority: 1,
            cancelSignal: host.signal,
          },
        )
        .then(valueOf),
    async close() {
      watching.unsubscribe()
      await endOf(supervisor)
      if (heard === 0) throw new Error('no event was heard')
    },
  }
}

async function plant(parents: readonly number[]): Promise<Tree> {
  const supervisor = createBenchSupervisor('memoised', { graceMs: 1, inlineMs: Infinity })
  const session = supervisor.session({ owner: 'bench' })
  const contexts: TaskContext[] = []
  const never = (_: unknown, ctx: TaskContext): Promise<never> => {
    contexts.push(ctx)
    return new Promise(() => undefined)
  }
  const root = await session.spawn(never, undefined)
  let stopped = 0
  // What starts in one turn is sliced, so a parent may start a turn later.
  const whenStarted = async (count: number): Promise<void> => {
    while (contexts.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  for (let n = 1; n < parents.length; n += 1) {
    const parent = parents[n] ?? 0
    await whenStarted(parent + 1)
    await contexts[parent]?.spawn(never, undefined)
  }
  await whenStarted(parents.length)
  return {
    async cancel() {
      const { tasks } = await root.cancel()
      stopped = tasks.filter(({ status }) => status === 'cancelled').length
    },
    stopped: () => stopped,
    close: () => supervisor.shutdown(),
  }
}

/** A quick call is answered inline; anything else is wrong. */
function valueOf(outcome: RunOutcome<number>): number {
  return outcome.kind === 'inline' ? outcome.value : Number.NaN
}

/** What lives on is of no interest. */
async function endOf(supervisor: TaskSupervisor): Promise<void> {
  await supervisor.shutdown({ graceMs: 1 })
}

function createPeer(title: string, variant: Variant): Peer {
  return { title, hasSignal: true, open: (assignment) => openWith(variant, assignment) }
}

export const outlive: Peer = { ...createPeer('outlive', 'memoised'), plant }
export const outliveExplicit = createPeer('outlive, explicit lineage', 'explicit')
export const outliveMachine = createPeer('outlive, real machine', 'machine')
export const outliveEverything: Peer = {
  title: 'outlive, everything a call can ask for',
  hasSignal: true,
  open: openEverything,
}
