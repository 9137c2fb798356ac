/**
 * A store that gets ready with its first use, and that always answers.
 *
 * 1. Until it is open every call waits; a call whose store cannot be opened fails, and one that comes `RETRY_MS` later tries
 *    again.
 * 2. A call without an answer after `ANSWER_LIMIT_MS` fails as `store_unavailable`. It may have taken effect. Only those who
 *    have a limit of their own go without it.
 */
import { TaskError } from '../../errors.ts'
import type { Awaitable } from '../../ports/awaitable.ts'
import type { Clock } from '../../ports/clock.ts'
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import { wrapStore } from '../../wrapped-store.ts'

/** How long it is taken for granted that a store which could not be opened still cannot. */
const RETRY_MS = 250
/** A store that has lost a request, or its answer, does not say so. What waits for it in turns would wait for ever. */
const ANSWER_LIMIT_MS = 30_000

export interface OpenedStore {
  readonly store: TaskStore
  /** For those who do not wait for ever by themselves. */
  readonly unlimited: Pick<TaskStore, 'commit'>
  /** Rejects with the reason when the store cannot be opened. */
  open(): Promise<void>
  /** Whether it is open, so that nothing waits. */
  isOpen(): boolean
}

/** How a call gets to the store. */
type Through = <Answer>(call: () => Awaitable<Answer>) => Awaitable<Answer>

export function createOpenedStore(parts: {
  readonly store: TaskStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** Does what has to be done before the first use, with the store as it is for nobody else yet. Absent where nothing has. */
  readonly prepare: ((direct: TaskStore) => Promise<void>) | undefined
  /** The store may be used from now on. */
  readonly onOpen: () => void
}): OpenedStore {
  const { store: inner, clock, deadlines, prepare } = parts
  if (prepare === undefined)
    return { store: inner, unlimited: inner, open: () => Promise.resolve(), isOpen: () => true }
  let isOpen = false
  let opening: Promise<void> | undefined
  let failedAtMs = -Infinity

  const tryToOpen = async (): Promise<void> => {
    try {
      await prepare(through(direct))
      isOpen = true
      parts.onOpen()
    } catch (error) {
      failedAtMs = clock.monotonicMs()
      throw error
    }
  }

  const open = (): Promise<void> => {
    const isOver = !isOpen && failedAtMs !== -Infinity && clock.monotonicMs() - failedAtMs >= RETRY_MS
    if (opening === undefined || isOver) {
      failedAtMs = -Infinity
      opening = tryToOpen()
    }
    return opening
  }

  const limited = <Answer>(answer: Awaitable<Answer>): Awaitable<Answer> => {
    if (!(answer instanceof Promise)) return answer
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        reject(new TaskError('store_unavailable', `The store did not answer within ${ANSWER_LIMIT_MS} ms.`))
      }
      const limit = deadlines.idleAfter(ANSWER_LIMIT_MS, giveUp, undefined)
      answer.then(resolve, reject).finally(() => limit.disarm())
    })
  }

  const direct: Through = (call) => limited(call())
  const once: Through = (call) => (isOpen ? direct(call) : open().then(() => direct(call)))

  const limitCluster = (cluster: ClusterStore): ClusterStore => ({
    join: (lease) => limited(cluster.join(lease)),
    renew: (lease) => limited(cluster.renew(lease)),
    leave: (leaver) => limited(cluster.leave(leaver)),
    sweep: (at) => limited(cluster.sweep(at)),
    forget: (node) => limited(cluster.forget(node)),
    sendOrder: (order) => limited(cluster.sendOrder(order)),
    readOrders: (read) => limited(cluster.readOrders(read)),
    replyTo: (reply) => limited(cluster.replyTo(reply)),
    readReply: (orderId) => limited(cluster.readReply(orderId)),
    watch: (onHint) => cluster.watch(onHint),
  })

  const through = (way: Through): TaskStore =>
    wrapStore(inner, {
      commit: (commit) => way(() => inner.commit(commit)),
      read: (taskId) => way(() => inner.read(taskId)),
      list: (query) => way(() => inner.list(query)),
      count: (owner) => way(() => inner.count(owner)),
      readEvents: (read) => way(() => inner.readEvents(read)),
      readFeed: (read) => way(() => inner.readFeed(read)),
      lastPosition: (owner) => way(() => inner.lastPosition(owner)),
      claimedBy: (claim) => way(() => inner.claimedBy(claim)),
      readAttachment: (taskId, kind) => way(() => inner.readAttachment(taskId, kind)),
      readOutbox: (taskId) => way(() => inner.readOutbox(taskId)),
      listDeliveries: (query) => way(() => inner.listDeliveries(query)),
      putDelivery: (entry) => way(() => inner.putDelivery(entry)),
      prune: (limits) => way(() => inner.prune(limits)),
      close: () => inner.close(),
      ...(inner.cluster === undefined ? {} : { cluster: limitCluster(inner.cluster) }),
    })
  const unlimited: OpenedStore['unlimited'] = {
    commit: (commit) => (isOpen ? inner.commit(commit) : open().then(() => inner.commit(commit))),
  }
  return { store: through(once), unlimited, open, isOpen: () => isOpen }
}
