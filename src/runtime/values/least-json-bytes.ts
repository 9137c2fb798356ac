/**
 * How many bytes of JSON are certain to come of a value, as far as that can be told without calling anything of the
 * value's own: no getter, no trap, no `toJSON`.
 */
import { types } from 'node:util'

/** What an entry adds by itself: its key, its comma, and its text or one byte of anything else. */
export function leastBytes(holder: unknown, key: string, value: unknown): number {
  const ownBytes = typeof value === 'string' ? value.length + 2 : 1
  if (Array.isArray(holder)) return 1 + ownBytes
  return isLeftOut(value) ? 0 : key.length + 4 + ownBytes
}

/** Whether JSON has no such entry in an object. In an array it stands as `null`. */
function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol'
}

/** What is going to be added by the entries of an object that is about to be written. */
export function leastBytesBelow(value: object): number {
  if (types.isProxy(value)) return 0
  if (Array.isArray(value)) return Math.max(value.length * 2, mostOfBuffers(value, value.length))
  if (ArrayBuffer.isView(value)) return types.isTypedArray(value) ? lengthOf(value) * 6 : 0
  // Its characters are its keys, but it is written as a text.
  if (types.isStringObject(value)) return 0
  const keys = Object.keys(value)
  return mostOfBuffers(value, keys.length, keys)
}

/** How many entries of one object are looked at for buffers. A buffer that stands later is left to its `toJSON`. */
const MAX_LOOKED_AT = 100

function mostOfBuffers(holder: object, count: number, keys?: readonly string[]): number {
  let most = 0
  for (let index = 0; index < count && index < MAX_LOOKED_AT; index += 1) {
    const entry = Object.getOwnPropertyDescriptor(holder, keys?.[index] ?? index)?.value as unknown
    if (ArrayBuffer.isView(entry)) most = Math.max(most, leastBytesOfBuffer(entry))
  }
  return most
}

/**
 * What a buffer is going to add. Its `toJSON` makes an array of numbers, eight times as large in memory, before anything
 * is written, so a buffer has to be found before it is reached.
 */
export function leastBytesOfBuffer(value: unknown): number {
  if (!ArrayBuffer.isView(value) || Object.getPrototypeOf(value) !== bufferPrototype) return 0
  const isListed = bufferPrototype.toJSON === listBytes && !Object.hasOwn(value, 'toJSON')
  return isListed ? lengthOf(value) * 2 : 0
}

const bufferPrototype = Buffer.prototype as Buffer

/** The `toJSON` of buffers, unless somebody had replaced it by one that does not list their bytes. */
const listBytes = JSON.stringify(Buffer.of(7)) === '{"type":"Buffer","data":[7]}' ? bufferPrototype.toJSON : undefined

const lengthGetter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype) as object, 'length')

/** The length of a typed array, whatever properties it was given. */
function lengthOf(array: object): number {
  return Number(lengthGetter?.get?.call(array))
}
