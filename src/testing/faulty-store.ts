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

const READS = new Set([
  'read',
  'list',
  'count',
  'readEvents',
  'readFeed',
  'lastPosition',
  'claimedBy',
  'readAttachment',
  'readOutbox',
  'listDeliveries',
  'readOrders',
  'readReply',
])
/** What is no call to the store. */
const UNTOUCHED = new Set(['watch', 'close'])
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

  const call = (method: string, args: readonly unknown[], effect: () => Awaitable<unknown>): Awaitable<unknown> => {
    count += 1
    const isRead = READS.has(method)
    const fault = plan({ number: count, method, isRead, args })
    if (fault !== undefined) return goWrong(fault, { method, args, isRead, effect })
    return isRead ? remember(method, args, effect()) : effect()
  }

  /** What was read last is what a stale read gives; the answer itself is handed on as it came. */
  const remember = (method: string, args: readonly unknown[], answer: Awaitable<unknown>): Awaitable<unknown> => {
    const key = keyOf(method, args)
    if (answer instanceof Promise) {
      return answer.then((value: unknown) => {
        lastRead.set(key, value)
        return value
      })
    }
    lastRead.set(key, answer)
    return answer
  }

  const goWrong = async (
    fault: StoreFault,
    {
      method,
      args,
      isRead,
      effect,
    }: Pick<StoreCall, 'method' | 'args' | 'isRead'> & { effect: () => Awaitable<unknown> },
  ): Promise<unknown> => {
    switch (fault) {
      case 'failBefore':
        throw new Error(`${method} failed`)
      case 'failAfter':
        await effect()
        throw new Error(`the answer to ${method} was lost`)
      case 'hang':
        return new Promise(() => undefined)
      case 'delay':
        await delay()
        break
      case 'duplicate':
        await effect()
        break
      case 'stale':
        if (isRead && lastRead.has(keyOf(method, args))) return lastRead.get(keyOf(method, args))
        break
    }
    return isRead ? remember(method, args, effect()) : effect()
  }

  const through = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (name === 'cluster' && value !== undefined) return through(value as ClusterStore)
        if (typeof value !== 'function' || typeof name !== 'string') return value
        const method = (...args: unknown[]): Awaitable<unknown> =>
          (value as (...given: unknown[]) => Awaitable<unknown>).apply(target, args)
        if (UNTOUCHED.has(name)) return method
        return (...args: unknown[]) => call(name, args, () => method(...args))
      },
    })

  return Object.assign(Object.create(through(inner)) as TaskStore, { callCount: () => count })
}

function keyOf(method: string, args: readonly unknown[]): string {
  return `${method} ${JSON.stringify(args)}`
}

async function passSomeTurns(): Promise<void> {
  for (let turn = 0; turn < DELAY_TURNS; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
