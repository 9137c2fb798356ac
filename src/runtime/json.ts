/** What can be kept: JSON, and nothing that JSON would silently change into something else. */
import { messageOf } from '../errors.ts'

export type Encoded =
  | { readonly kind: 'json'; readonly json: string | undefined; readonly bytes: number }
  | { readonly kind: 'refused'; readonly why: string }

/**
 * A value as JSON. `undefined` is no value. Functions, symbols, maps and sets are refused at any depth, and so is
 * whatever `JSON.stringify` refuses.
 */
export function encodeJson(value: unknown): Encoded {
  if (value === undefined) return { kind: 'json', json: undefined, bytes: 0 }
  try {
    // Its own `toJSON` may say that there is no value.
    const json = JSON.stringify(value, refuseUnkeepable) as string | undefined
    return { kind: 'json', json, bytes: json === undefined ? 0 : Buffer.byteLength(json) }
  } catch (error) {
    return { kind: 'refused', why: messageOf(error) }
  }
}

/** A frozen copy of a value as its JSON tells it. */
export function copyJson(value: unknown): unknown {
  const encoded = encodeJson(value)
  if (encoded.kind === 'refused') throw new TypeError(encoded.why)
  return encoded.json === undefined ? undefined : deepFreeze(JSON.parse(encoded.json))
}

function refuseUnkeepable(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'function') throw new TypeError('a function cannot be kept as JSON')
  if (typeof value === 'symbol') throw new TypeError('a symbol cannot be kept as JSON')
  if (value instanceof Map) throw new TypeError('a Map cannot be kept as JSON')
  if (value instanceof Set) throw new TypeError('a Set cannot be kept as JSON')
  return value
}

/** Freezes plain data all the way down. */
export function deepFreeze(value: unknown): unknown {
  const rest = [value]
  for (let next = rest.pop(); rest.length > 0 || next !== undefined; next = rest.pop()) {
    if (typeof next !== 'object' || next === null) continue
    Object.freeze(next)
    for (const inner of Object.values(next)) {
      if (typeof inner === 'object' && inner !== null) rest.push(inner)
    }
  }
  return value
}
