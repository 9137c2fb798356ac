/** One at a time, in the order in which they came. */
export interface Turns {
  /** Resolves when it is the caller's turn, which lasts until `give`. */
  take(): Promise<void>
  give(): void
}

function createTurns(): Turns {
  const waiting: (() => void)[] = []
  let isTaken = false
  return {
    async take() {
      if (isTaken) await new Promise<void>((resolve) => waiting.push(resolve))
      isTaken = true
    },
    give() {
      const next = waiting.shift()
      if (next === undefined) isTaken = false
      else next()
    },
  }
}

const shared = new Map<string, { readonly turns: Turns; users: number }>()

/**
 * The turns at one file of all who use it in this process. A driver that blocks would wait for a lock of another one here, and the
 * other could not go on to give it back.
 */
export function shareTurns(file: string): { readonly turns: Turns; readonly leave: () => void } {
  const known = shared.get(file) ?? { turns: createTurns(), users: 0 }
  shared.set(file, known)
  known.users += 1
  return {
    turns: known.turns,
    leave() {
      known.users -= 1
      if (known.users === 0) shared.delete(file)
    },
  }
}
