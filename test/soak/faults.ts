/**
 * What goes wrong in a soak, and when. Faults come in rounds, each kind once in a round, in an order that the seed draws, so
 * that a run of any length has seen each kind about as often. Whatever a fault breaks is whole again when it is over.
 */
import { createRandom, type Random } from '../../src/testing/simulation/random.ts'

export const SOAK_FAULTS = ['kill', 'stop', 'redis', 'clients', 'cut'] as const
export type SoakFaultKind = (typeof SOAK_FAULTS)[number]

export type SoakFault =
  /** kill -9 of a worker, and a new one in its place. Never the first worker: it shows what grows. */
  | { readonly kind: 'kill'; readonly worker: number; readonly goneMs: number }
  /** A worker stands still for longer than its lease. */
  | { readonly kind: 'stop'; readonly worker: number; readonly stoppedMs: number }
  /** kill -9 of Redis, and a new one over the same folder. */
  | { readonly kind: 'redis'; readonly goneMs: number }
  /** CLIENT KILL of all that are connected, so often. */
  | { readonly kind: 'clients'; readonly times: number }
  /** The way of a worker to Redis. */
  | { readonly kind: 'cut'; readonly worker: number; readonly how: Cut; readonly cutMs: number }

const CUTS = ['refuse', 'blackhole', 'reset', 'dropNextReply', 'cutReply'] as const
export type Cut = (typeof CUTS)[number]

/** The next fault each time it is called. */
export function drawFaults(seed: number, { workers, leaseMs }: { workers: number; leaseMs: number }): () => SoakFault {
  const random = createRandom(seed)
  let round: SoakFaultKind[] = []
  return () => {
    if (round.length === 0) round = shuffle(SOAK_FAULTS, random)
    const kind = round.pop() ?? 'kill'
    const worker = random.below(workers)
    switch (kind) {
      case 'kill':
        return { kind, worker: 1 + random.below(workers - 1), goneMs: random.below(leaseMs * 2) }
      case 'stop':
        return { kind, worker, stoppedMs: Math.round(leaseMs * (1.6 + random())) }
      case 'redis':
        return { kind, goneMs: random.below(leaseMs * 2) }
      case 'clients':
        return { kind, times: 1 + random.below(3) }
      case 'cut':
        return { kind, worker, how: random.pick(CUTS), cutMs: random.below(leaseMs * 2) }
    }
  }
}

function shuffle<Item>(items: readonly Item[], random: Random): Item[] {
  const left = [...items]
  return items.map(() => left.splice(random.below(left.length), 1)[0] as Item)
}

export function describeFault(fault: SoakFault): string {
  switch (fault.kind) {
    case 'kill':
      return `kill -9 of worker ${fault.worker + 1}, a new one ${fault.goneMs} ms later`
    case 'stop':
      return `SIGSTOP of worker ${fault.worker + 1} for ${fault.stoppedMs} ms`
    case 'redis':
      return `kill -9 of Redis, started again ${fault.goneMs} ms later`
    case 'clients':
      return `CLIENT KILL of all connections, ${fault.times} times`
    case 'cut':
      return `connection of worker ${fault.worker + 1}: ${fault.how}, ${fault.cutMs} ms`
  }
}
