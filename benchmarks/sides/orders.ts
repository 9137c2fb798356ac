/** What a side is told to do, a line of JSON each, and what it answers. */
import type { Timing } from '../measuring.ts'

export type WorkName = 'now' | 'later' | 'reading'

export type Order =
  /** Quick calls: so many, one by one or a thousand at a time. */
  | { readonly kind: 'calls'; readonly work: WorkName; readonly order: 'one' | 'batch'; readonly count: number }
  /** Work in the background: all started, then all released, then all asked for. */
  | { readonly kind: 'background'; readonly count: number }
  /** Calls that never end, until so many of them live. Weighed: says how large the heap is then. */
  | { readonly kind: 'live'; readonly count: number; readonly isWeighed: boolean }
  | { readonly kind: 'tree'; readonly shape: ShapeName; readonly count: number }

export interface Answers {
  readonly calls: Timing
  readonly background: BackgroundTiming
  readonly live: { readonly heap: number }
  readonly tree: TreeTiming
}

/** Microseconds per task. */
export interface BackgroundTiming {
  readonly startUs: number
  readonly finishUs: number
  readonly fetchUs: number
}

export interface TreeTiming {
  readonly buildMs: number
  /** By the clock or on the processors, whichever is less. */
  readonly cancelMs: number
  readonly stopped: number
}

export type ShapeName = 'wide' | 'deep' | 'tenAry'

/** The parent of the node that is started as the `n`th, the root being 0. */
export const PARENT_OF: Readonly<Record<ShapeName, (n: number) => number>> = {
  wide: () => 0,
  deep: (n) => n - 1,
  tenAry: (n) => Math.floor((n - 1) / 10),
}

export type Reply = { readonly value: unknown } | { readonly error: string }
