/** Where the next page of a list begins, as an opaque string that fits the list of one owner only. */
import { invalidCursor, tagOf } from './events/cursor.ts'

const RADIX = 36

export function toListCursor(scope: string, place: number): string {
  const body = place.toString(RADIX)
  return `${body}.${tagOf(`${scope}\u0000${body}`)}`
}

/** @throws `invalid_cursor` */
export function fromListCursor(scope: string, cursor: unknown): number {
  const place = typeof cursor === 'string' ? Number.parseInt(cursor, RADIX) : Number.NaN
  if (!Number.isSafeInteger(place) || place < 0 || cursor !== toListCursor(scope, place)) throw invalidCursor()
  return place
}
