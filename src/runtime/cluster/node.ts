/**
 * This process among those that have the store: a node with a name and a lease.
 *
 * joined: the lease is renewed at a third of its time, and tried again sooner when the store does not answer.
 * fenced: two thirds have passed without a renewal. Others may take over soon, so whatever must not run twice stops here.
 * lost: the store says that the node is dead. Everything it ran belongs to others; it joins again under a new name.
 * gone: it has left.
 *
 * 1. A node that was fenced and renews before anybody found it dead goes on under its name.
 * 2. What the callbacks do is done before the node says anything else to the store.
 */
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Counters } from '../counters.ts'

export interface ClusterNode {
  /** Its name; another one after each loss. */
  id(): string
  join(): Promise<void>
  /** Since when, on the monotonic clock, every renewal came in time. Infinity while there is no lease. */
  steadySinceMs(): number
  /** Gives the lease back. Resolves also when the store does not answer. */
  leave(): Promise<void>
}

export function createClusterNode(parts: {
  readonly cluster: ClusterStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly createId: IdSource
  readonly logger: Logger
  readonly counters: Counters
  readonly leaseMs: number
  readonly onFence: () => void
  /** The name that is lost. The node has another one already. */
  readonly onLost: (lostId: string) => void
}): ClusterNode {
  const { cluster, clock, deadlines, logger, counters, leaseMs } = parts
  const renewMs = leaseMs / 3
  const retryMs = Math.max(50, leaseMs / 12)
  let id = parts.createId()
  let state: 'out' | 'joined' | 'fenced' | 'gone' = 'out'
  let renewedAtMs = 0
  let steadySinceMs = Infinity
  let next: Moment | undefined
  let fence: Moment | undefined
  let isFailing = false

  const lease = (): { node: string; leaseMs: number; now: number } => ({ node: id, leaseMs, now: clock.now() })

  /** A lease counts from when it was asked for: what the answer took is lost. */
  const noteRenewal = (askedAtMs: number): void => {
    renewedAtMs = askedAtMs
    if (state === 'fenced' || steadySinceMs === Infinity) steadySinceMs = askedAtMs
    state = 'joined'
    isFailing = false
    fence?.disarm()
    fence = deadlines.idleAfter(Math.max(1, fenceAtMs() - clock.monotonicMs()), fenceOff, undefined)
    plan(renewMs)
  }

  const fenceAtMs = (): number => renewedAtMs + (leaseMs * 2) / 3

  const fenceOff = (): void => {
    if (state !== 'joined') return
    state = 'fenced'
    steadySinceMs = Infinity
    counters.fencedTimes += 1
    logger.error({ node: id, leaseMs }, 'the lease could not be renewed; what must not run twice is stopped')
    parts.onFence()
  }

  const plan = (delayMs: number): void => {
    next?.disarm()
    if (state !== 'gone') next = deadlines.idleAfter(delayMs, () => void renew(), undefined)
  }

  /** An answer that takes longer than this is none. */
  const limited = async <Answer>(answer: Promise<Answer>): Promise<Answer> => {
    let limit: Moment | undefined
    const tooLate = new Promise<never>((_resolve, reject) => {
      limit = deadlines.idleAfter(renewMs, () => reject(new Error('the store does not answer')), undefined)
    })
    try {
      return await Promise.race([answer, tooLate])
    } finally {
      limit?.disarm()
    }
  }

  const join = async (): Promise<void> => {
    const askedAtMs = clock.monotonicMs()
    await cluster.join(lease())
    if (state !== 'gone') noteRenewal(askedAtMs)
  }

  const rejoin = (): void => {
    const lostId = id
    id = parts.createId()
    state = 'out'
    steadySinceMs = Infinity
    fence?.disarm()
    counters.lostLeases += 1
    logger.error({ node: lostId }, 'the lease is lost; its tasks belong to other processes now')
    parts.onLost(lostId)
  }

  const renew = async (): Promise<void> => {
    const askedAtMs = clock.monotonicMs()
    try {
      if (state === 'out') return await limited(join())
      const isAlive = await limited(Promise.resolve(cluster.renew(lease())))
      if (state === 'gone') return
      if (isAlive) return noteRenewal(askedAtMs)
      rejoin()
      await limited(join())
    } catch (error) {
      counters.storeErrors += 1
      if (!isFailing) logger.error({ error, node: id }, 'the lease could not be renewed; trying again')
      isFailing = true
      plan(retryMs)
    }
  }

  return {
    id: () => id,
    join,
    steadySinceMs: () => steadySinceMs,
    async leave() {
      const wasOut = state === 'out'
      state = 'gone'
      next?.disarm()
      fence?.disarm()
      if (wasOut) return
      try {
        await limited(Promise.resolve(cluster.leave({ node: id, now: clock.now() })))
      } catch (error) {
        counters.storeErrors += 1
        logger.error({ error, node: id }, 'the lease could not be given back; it runs out by itself')
      }
    },
  }
}
