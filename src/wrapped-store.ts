/** A store around another one. */
import type { TaskStore } from './ports/task-store.ts'

const INNER = Symbol('inner')

interface Wrapper {
  readonly [INNER]: TaskStore
}

/**
 * What a store says of itself is what the one inside says at the time: it may know only once it is open.
 *
 * The same accessors for all: V8 keeps an accessor, and what it knows, until a full collection.
 */
const FACE = {
  durability: {
    get(this: Wrapper) {
      return this[INNER].durability
    },
    enumerable: true,
  },
  incarnation: {
    get(this: Wrapper) {
      return this[INNER].incarnation
    },
    enumerable: true,
  },
}

/** Adds what the store inside says of itself to the calls that lead to it. */
export function wrapStore<Wrapped extends TaskStore>(
  inner: TaskStore,
  calls: Omit<Wrapped, keyof typeof FACE>,
): Wrapped {
  return Object.defineProperties(calls, { [INNER]: { value: inner }, ...FACE }) as Wrapped
}
