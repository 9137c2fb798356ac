/**
 * Work in slices: so many pieces in one turn of the loop, the rest in the turns after it, in their order. A burst of any
 * size then blocks nobody for longer than one slice takes.
 *
 * Turns are not counted: after each `size` pieces the next piece waits for a turn, however many turns those took.
 */
import type { Clock } from '../ports/clock.ts'

export interface Slices<Piece> {
  /** Works on a piece at once, or when its turn comes. */
  push(piece: Piece): void
}

export interface SlicesOptions<Piece> {
  readonly clock: Clock
  readonly size: number
  /** Must not throw. */
  readonly work: (piece: Piece) => void
  /** Prepares a piece that has to wait. */
  readonly toWaiting?: (piece: Piece) => Piece
}

export function createSlices<Piece>({ clock, size, work, toWaiting }: SlicesOptions<Piece>): Slices<Piece> {
  let line: Piece[] = []
  /** The index of the first piece in the line. */
  let next = 0
  let doneInSlice = 0
  let isTurnPlanned = false

  const planTurn = (): void => {
    if (isTurnPlanned || (doneInSlice < size && next === line.length)) return
    isTurnPlanned = true
    clock.soon(startSlice)
  }

  const startSlice = (): void => {
    isTurnPlanned = false
    doneInSlice = 0
    while (doneInSlice < size && next < line.length) {
      const piece = line[next] as Piece
      next += 1
      doneInSlice += 1
      work(piece)
    }
    line = line.slice(next)
    next = 0
    planTurn()
  }

  return {
    push(piece) {
      if (doneInSlice === size || next < line.length) {
        line.push(toWaiting === undefined ? piece : toWaiting(piece))
        return
      }
      doneInSlice += 1
      planTurn()
      work(piece)
    },
  }
}
