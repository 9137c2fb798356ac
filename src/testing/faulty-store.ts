/**
 * A store with a fault plan: what goes wrong on the way to a store and back, without the way. Each call asks the plan once.
 *
 * `failBefore`: nothing happens, and the call fails. `failAfter`: it takes effect, and its answer is lost. `delay`: it takes
 * effect some turns of the loop later. `duplicate`: it takes effect twice, and the second answer is given. `stale`: a read
 * gives what it gave the last time; of what was never read it gives what there is. `hang`: nothing happens, and there is
 * never an answer. A call with which nothing goes wrong is answered as the store answers it, at once or with a promise.
 */
import type { Awaitable } from '../ports/awaitable.ts'
import type { ClusterStore } from '../ports/cluster-store.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { wrapStore } from '../wrapped-store.ts'

export type StoreFault = 'failBefore' | 'failAfter' | 'delay' | 'duplicate' | 'stale' | 'hang'

/** A call on its way to the store. */
export interface StoreCall {
  /** From 1. */
  readonly number: number
  readonly method: string
  readonly isRead: boolean
  readonly args: readonly unknown[]
}

/** Decides what goes wrong with a call; nothing, mostly. */
export type FaultPlan = (call: StoreCall) => StoreFault | undefined

export interface FaultyStore extends TaskStore {
  /** How many calls there were. */
  callCount(): number
}

const DELAY_TURNS = 3

export interface FaultyStoreOptions {
  /** How long a delayed call takes. @defaultValue three turns of the loop */
  readonly delay?: () => Promise<void>
}

/**
 * Wraps a store so that calls go wrong as planned.
 *
 * @example
 * ```ts
 * import { memoryStore } from 'outlive'
 * import { faultyStore } from 'outlive/testing'
 *
 * const store = faultyStore(memoryStore(), ({ method, number }) => (method === 'commit' && number < 3 ? 'failAfter' : undefined))
 * console.log(await store.lastPosition('ann')) // 0
 * ```
 */
export function faultyStore(inner: TaskStore, plan: FaultPlan, options: FaultyStoreOptions = {}): FaultyStore {
  const { delay = passSomeTurns } = options
  let count = 0
  const lastRead = new Map<string, unknown>()

  const call = <Answer>(
    kind: 'read' | 'write',
    method: string,
    args: readonly unknown[],
    effect: () => Awaitable<Answer>,
  ): Awaitable<Answer> => {
    count += 1
    const isRead = kind === 'read'
    const fault = plan({ number: count, method, isRead, args })
    if (fault !== undefined) return goWrong(fault, { method, args, isRead, effect })
    return isRead ? remember(method, args, effect()) : effect()
  }

  /** What was read last is what a stale read gives; the answer itself is handed on as it came. */
  const remember = <Answer>(method: string, args: readonly unknown[], answer: Awaitable<Answer>): Awaitable<Answer> => {
    const key = keyOf(method, args)
    if (answer instanceof Promise) {
      return answer.then((value: Answer) => {
        lastRead.set(key, value)
        return value
      })
    }
    lastRead.set(key, answer)
    return answer
  }

  const goWrong = async <Answer>(
    fault: StoreFault,
    {
      method,
      args,
      isRead,
      effect,
    }: Pick<StoreCall, 'method' | 'args' | 'isRead'> & { effect: () => Awaitable<Answer> },
  ): Promise<Answer> => {
    switch (fault) {
      case 'failBefore':
        throw new Error(`${method} failed`)
      case 'failAfter':
        await effect()
        throw new Error(`the answer to ${method} was lost`)
      case 'hang':
        return new Promise<never>(() => undefined)
      case 'delay':
        await delay()
        break
      case 'duplicate':
        await effect()
        break
      case 'stale':
        if (isRead && lastRead.has(keyOf(method, args))) return lastRead.get(keyOf(method, args)) as Answer
        break
    }
    return isRead ? remember(method, args, effect()) : effect()
  }

  const throughCluster = (cluster: ClusterStore): ClusterStore => ({
    join: (lease) => call('write', 'join', [lease], () => cluster.join(lease)),
    renew: (lease) => call('write', 'renew', [lease], () => cluster.renew(lease)),
    leave: (leaver) => call('write', 'leave', [leaver], () => cluster.leave(leaver)),
    sweep: (at) => call('write', 'sweep', [at], () => cluster.sweep(at)),
    forget: (node) => call('write', 'forget', [node], () => cluster.forget(node)),
    sendOrder: (order) => call('write', 'sendOrder', [order], () => cluster.sendOrder(order)),
    readOrders: (read) => call('read', 'readOrders', [read], () => cluster.readOrders(read)),
    replyTo: (reply) => call('write', 'replyTo', [reply], () => cluster.replyTo(reply)),
    readReply: (orderId) => call('read', 'readReply', [orderId], () => cluster.readReply(orderId)),
    // What is heard is no call to the store.
    watch: (onHint) => cluster.watch(onHint),
  })

  const { open, cluster } = inner
  return wrapStore(inner, {
    commit: (commit) => call('write', 'commit', [commit], () => inner.commit(commit)),
    read: (taskId) => call('read', 'read', [taskId], () => inner.read(taskId)),
    list: (query) => call('read', 'list', [query], () => inner.list(query)),
    count: (owner) => call('read', 'count', [owner], () => inner.count(owner)),
    readEvents: (read) => call('read', 'readEvents', [read], () => inner.readEvents(read)),
    readFeed: (read) => call('read', 'readFeed', [read], () => inner.readFeed(read)),
    lastPosition: (owner) => call('read', 'lastPosition', [owner], () => inner.lastPosition(owner)),
    claimedBy: (claim) => call('read', 'claimedBy', [claim], () => inner.claimedBy(claim)),
    readAttachment: (taskId, kind) =>
      call('read', 'readAttachment', [taskId, kind], () => inner.readAttachment(taskId, kind)),
    readOutbox: (taskId) => call('read', 'readOutbox', [taskId], () => inner.readOutbox(taskId)),
    listDeliveries: (query) => call('read', 'listDeliveries', [query], () => inner.listDeliveries(query)),
    putDelivery: (entry) => call('write', 'putDelivery', [entry], () => inner.putDelivery(entry)),
    prune: (limits) => call('write', 'prune', [limits], () => inner.prune(limits)),
    // To leave it is no call to the store.
    close: () => inner.close(),
    callCount: () => count,
    ...(cluster === undefined ? {} : { cluster: throughCluster(cluster) }),
    ...(open === undefined ? {} : { open: () => call('write', 'open', [], () => open.call(inner)) }),
  })
}

/** Tells reads apart. Most are of one id or one owner, which is said without writing JSON. */
function keyOf(method: string, args: readonly unknown[]): string {
  const [only] = args
  return args.length === 1 && typeof only === 'string' ? `${method} ${only}` : `${method} ${JSON.stringify(args)}`
}

async function passSomeTurns(): Promise<void> {
  for (let turn = 0; turn < DELAY_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
