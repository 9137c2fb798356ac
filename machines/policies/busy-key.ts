/** What a new task does that asks for a concurrency key which another task holds. */

/**
 * `reject`: it is refused. `queue`: it waits for its turn. `replace`: it waits, and what came before it is cancelled.
 * `keepLatest`: it waits for the holder, and cancels what waited before it.
 */
export type OnBusy = 'reject' | 'queue' | 'replace' | 'keepLatest'

export const ON_BUSY: readonly OnBusy[] = ['reject', 'queue', 'replace', 'keepLatest']

export interface BusyKeyDecision {
  readonly mayWait: boolean
  readonly supersedesWaiting: boolean
  readonly supersedesHolder: boolean
}

const DECISIONS: Readonly<Record<OnBusy, BusyKeyDecision>> = {
  reject: { mayWait: false, supersedesWaiting: false, supersedesHolder: false },
  queue: { mayWait: true, supersedesWaiting: false, supersedesHolder: false },
  replace: { mayWait: true, supersedesWaiting: true, supersedesHolder: true },
  keepLatest: { mayWait: true, supersedesWaiting: true, supersedesHolder: false },
}

export function decideBusyKey(onBusy: OnBusy): BusyKeyDecision {
  return DECISIONS[onBusy]
}
