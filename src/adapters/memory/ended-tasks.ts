/**
 * The tasks that have ended and may be dropped, in the order of their ends.
 *
 * One that owes a delivery is not among them. When it owes nothing any more, it stands where its end was: what is dropped first
 * does not depend on how long a delivery took.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { factsOf, mayBeDropped, type KeptTask, type Row } from './kept-rows.ts'
import { createOrderedLog } from './ordered-log.ts'

export interface EndedTasks {
  /** Takes a row out, before its record or its deliveries change. */
  leave(row: KeptTask): void
  /** Puts a row where it belongs, after its record or its deliveries have changed. */
  enter(row: Row): void
  oldest(): KeptTask | undefined
  lastPlace(): number
  /** What stands at the place of an end, if it may be dropped. */
  at(place: number): KeptTask | undefined
  /** Puts a row in another form at its place. */
  replace(place: number, row: KeptTask): void
  count(): number
  /** Of their results. */
  bytes(): number
}

export function createEndedTasks(): EndedTasks {
  const ended = createOrderedLog<KeptTask>()
  let bytes = 0

  return {
    leave(row) {
      if (row.endPlace > 0 && ended.drop(row.endPlace)) bytes -= factsOf(row).resultBytes ?? 0
    },
    enter(row) {
      const mayGo = mayBeDropped(row)
      if (row.endPlace > 0 && mayGo) ended.restore(row.endPlace, row)
      if (row.endPlace === 0 && isFinalStatus(row.record.status)) {
        row.endPlace = ended.append(row)
        if (!mayGo) ended.drop(row.endPlace)
      }
      if (mayGo) bytes += row.record.resultBytes ?? 0
    },
    oldest: ended.oldest,
    lastPlace: ended.lastPlace,
    at: ended.at,
    replace: ended.replace,
    count: () => ended.size(),
    bytes: () => bytes,
  }
}
