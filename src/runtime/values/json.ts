/** What can be kept: JSON, and nothing that JSON would silently change into something else. */
import { stringifyWithin, type BoundedJson } from './bounded-json.ts'

/**
 * A value as JSON of at most `maxBytes`. `undefined` is no value. Functions, symbols, maps and sets are refused at any
 * depth, and so is whatever `JSON.stringify` refuses.
 */
export function encodeJson(value: unknown, maxBytes: number): BoundedJson {
  return stringifyWithin(value, { maxBytes, check: refuseUnkeepable })
}

/** What JSON tells, frozen. */
export function decodeFrozen(json: string | undefined): unknown {
  return json === undefined ? undefined : deepFreeze(JSON.parse(json))
}

/** Why a value is not kept, as the end of a sentence. */
export function whyNotKept(encoded: Exclude<BoundedJson, { kind: 'json' }>): string {
  return encoded.kind === 'refused' ? encoded.why : `it has at least ${encoded.atLeastBytes} bytes`
}

function refuseUnkeepable(value: unknown): void {
  if (typeof value === 'function') throw new TypeError('a function cannot be kept as JSON')
  if (typeof value === 'symbol') throw new TypeError('a symbol cannot be kept as JSON')
  if (value instanceof Map) throw new TypeError('a Map cannot be kept as JSON')
  if (value instanceof Set) throw new TypeError('a Set cannot be kept as JSON')
}

/** Freezes plain data all the way down. */
function deepFreeze(value: unknown): unknown {
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
