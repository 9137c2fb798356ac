/**
 * JSON of at most so many bytes.
 *
 * The least that can come of a value is counted while `JSON.stringify` writes it, and the writing ends where the limit
 * is passed.
 *
 * 1. A value is read once: its getters, traps and `toJSON` are called as `JSON.stringify` calls them, and none of those
 *    that would come after the limit is passed.
 * 2. Only what is certainly too large is given up early. Everything else is written whole and judged by its bytes.
 * 3. To give a value up takes no more than to write the largest that is kept, whatever its size.
 */
import { messageOf } from '../../errors.ts'
import { leastBytes, leastBytesBelow, leastBytesOfBuffer } from './least-json-bytes.ts'

export type BoundedJson =
  /** Without `json`: there is no value. */
  | { readonly kind: 'json'; readonly json: string | undefined; readonly bytes: number }
  | { readonly kind: 'too_large'; readonly atLeastBytes: number }
  | { readonly kind: 'refused'; readonly why: string }

/** `JSON.stringify` begins with an object that has the value under an empty key: two quotes, a colon and no comma. */
const BYTES_AROUND_ROOT = 4

/** `check` is told every value before it is written, and throws to refuse the whole. */
export function stringifyWithin(
  value: unknown,
  { maxBytes, check }: { readonly maxBytes: number; readonly check?: (value: unknown) => void },
): BoundedJson {
  if (value === undefined) return { kind: 'json', json: undefined, bytes: 0 }
  let atLeastBytes = -BYTES_AROUND_ROOT
  const expect = (aheadBytes: number): void => {
    if (atLeastBytes + aheadBytes <= maxBytes) return
    atLeastBytes += aheadBytes
    throw new RangeError('The JSON is too large.')
  }
  function count(this: unknown, key: string, inner: unknown): unknown {
    check?.(inner)
    atLeastBytes += leastBytes(this, key, inner)
    expect(typeof inner === 'object' && inner !== null ? leastBytesBelow(inner) : 0)
    return inner
  }
  try {
    expect(leastBytesOfBuffer(value))
    // Its own `toJSON` may say that there is no value.
    const json = JSON.stringify(value, count) as string | undefined
    const bytes = json === undefined ? 0 : Buffer.byteLength(json)
    return bytes > maxBytes ? { kind: 'too_large', atLeastBytes: bytes } : { kind: 'json', json, bytes }
  } catch (error) {
    return atLeastBytes > maxBytes ? { kind: 'too_large', atLeastBytes } : { kind: 'refused', why: messageOf(error) }
  }
}
