/** Where the next page of a list begins, as an opaque string that fits the list of one owner only. */
import { invalidCursor, tagOf } from './events/cursor.ts'

const RADIX = 36

export function toListCursor(scope: string, place: number): string {
  const body = place.toString(RADIX)
  return `${body}.${tagOf(`${scope}\u0000${body}`)}`
}

/** @throws `invalid_cursor` */
export function fromListCursor(scope: string, cursor: unknown): number {
  const [body = '', check] = typeof cursor === 'string' ? cursor.split('.') : []
  const place = Number.parseInt(body, RADIX)
  if (!Number.isSafeInteger(place) || place < 0 || check !== tagOf(`${scope}\u0000${body}`)) throw invalidCursor()
  return place
}
