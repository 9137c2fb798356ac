import { describe, expect, test, vi } from 'vitest'
import { stringifyWithin } from '../../src/runtime/values/bounded-json.ts'
import { encodeJson } from '../../src/runtime/values/json.ts'
import { expectReached, fc } from '../support/properties.ts'

/** Values of every kind that `JSON.stringify` takes, those among them that it writes in a way of its own. */
const written = fc.letrec<{ value: unknown; leaf: unknown }>((tie) => ({
  leaf: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
    fc.double(),
    fc.constantFrom<unknown>(null, undefined, true, false, new Date(0), new Date(NaN), -0, () => 1, Symbol('s')),
    fc.constantFrom<unknown>(Object('boxed'), Object(1), Object(true), new Map([[1, 2]]), new Error('x'), /x/),
    fc.uint8Array({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.float32Array({ maxLength: 5 }),
    fc.constantFrom<unknown>(new DataView(new ArrayBuffer(9)), new ArrayBuffer(9)),
    fc.string().map((told) => ({ toJSON: () => told })),
    fc.constant({ toJSON: () => undefined }),
  ),
  value: fc.oneof(
    { maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.sparseArray(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 5, noNullPrototype: false }),
    fc.array(tie('value'), { maxLength: 3 }).map((list) => new Proxy(list, {})),
  ),
})).value

test('a value is too large exactly when its JSON is, and what is counted is never more than that', () => {
  let tooLarge = 0
  fc.assert(
    fc.property(written, fc.nat(200), (value, maxBytes) => {
      const json = JSON.stringify(value) as string | undefined
      const bytes = json === undefined ? 0 : Buffer.byteLength(json)
      const bounded = stringifyWithin(value, { maxBytes })
      if (bytes <= maxBytes) {
        expect(bounded).toEqual({ kind: 'json', json, bytes })
        return
      }
      tooLarge += 1
      const atLeastBytes = bounded.kind === 'too_large' ? bounded.atLeastBytes : NaN
      expect(atLeastBytes).toBeGreaterThan(maxBytes)
      expect(atLeastBytes).toBeLessThanOrEqual(bytes)
    }),
    { numRuns: 2_000 },
  )
  expectReached({ 'values that are too large': tooLarge }, 100)
})

/** A value that writes down what is done to it. */
function traced(trace: string[]): unknown {
  const handler: ProxyHandler<object> = {
    get: (target, key, receiver): unknown => {
      trace.push(`get ${String(key)}`)
      return Reflect.get(target, key, receiver)
    },
    has: (target, key) => {
      trace.push(`has ${String(key)}`)
      return Reflect.has(target, key)
    },
    ownKeys: (target) => {
      trace.push('keys')
      return Reflect.ownKeys(target)
    },
    getOwnPropertyDescriptor: (target, key) => {
      trace.push(`own ${String(key)}`)
      return Reflect.getOwnPropertyDescriptor(target, key)
    },
  }
  return {
    get first() {
      trace.push('getter')
      return Buffer.from('x')
    },
    told: {
      toJSON(key: string) {
        trace.push(`toJSON ${key}`)
        return [1, 2]
      },
    },
    proxy: new Proxy({ a: 1, b: [2] }, handler),
    list: new Proxy([1, 2], handler),
  }
}

test('getters, traps and toJSON are called as often and in the order in which JSON.stringify calls them', () => {
  const bare: string[] = []
  const json = JSON.stringify(traced(bare))
  const counted: string[] = []
  expect(stringifyWithin(traced(counted), { maxBytes: 1_000 })).toMatchObject({ kind: 'json', json })
  expect(counted).toEqual(bare)
  expect(bare).toContain('getter')
})

describe('what comes after the limit is passed is not touched', () => {
  const huge = 'x'.repeat(100 * 1024 * 1024)
  const bytes = Buffer.alloc(100 * 1024 * 1024)
  const toList = vi.fn<() => string>()

  test.each<readonly [string, () => unknown]>([
    ['a text', () => huge],
    ['a text deep inside', () => ({ a: [{ b: huge }] })],
    ['a key', () => ({ [huge.slice(0, 1_000_000)]: 1 })],
    ['a buffer', () => bytes],
    ['a buffer deep inside', () => [{ files: [{ name: 'x', data: bytes }] }]],
    ['a typed array', () => ({ points: new Float64Array(bytes.buffer) })],
    ['an array of numbers', () => Array.from({ length: 1_000_000 }, () => 1)],
    ['an array of holes', () => Array(2 ** 32 - 1) as unknown[]],
    ['many small objects', () => ({ rows: Array.from({ length: 100_000 }, () => ({ a: 1 })) })],
    ['what a toJSON tells', () => ({ toJSON: () => ({ huge }) })],
    ['what a getter gives', () => Object.defineProperty({}, 'a', { enumerable: true, get: () => huge })],
    ['what a proxy gives', () => new Proxy({ a: 1 }, { get: (_, key) => (key === 'a' ? huge : undefined) })],
  ])('%s', (_what, make) => {
    const late = vi.fn<() => string>(() => 'late')
    const value = [make(), { toJSON: late }, Object.defineProperty({}, 'late', { enumerable: true, get: late })]
    expect(stringifyWithin(value, { maxBytes: 512 * 1024 })).toMatchObject({ kind: 'too_large' })
    expect(late).not.toHaveBeenCalled()
    expect(stringifyWithin([1, value[1], value[2]], { maxBytes: 100 })).toMatchObject({ kind: 'json' })
    expect(late).toHaveBeenCalledTimes(2)
  })

  test('a value that spells itself out without end is given up as soon as it is too large', () => {
    let value: unknown = 'leaf'
    for (let level = 0; level < 60; level += 1) value = [value, value]
    expect(stringifyWithin(value, { maxBytes: 512 * 1024 })).toMatchObject({ kind: 'too_large' })
  })

  test('a buffer whose toJSON was replaced is asked, and judged by what it says', () => {
    toList.mockReturnValue('a hundred megabytes')
    const told = Object.assign(bytes.subarray(), { toJSON: toList })
    expect(stringifyWithin({ told }, { maxBytes: 100 })).toMatchObject({ json: '{"told":"a hundred megabytes"}' })
    const own = vi.spyOn(Buffer.prototype, 'toJSON').mockReturnValue({ type: 'Buffer', data: [] })
    expect(stringifyWithin([bytes], { maxBytes: 100 })).toMatchObject({ json: '[{"type":"Buffer","data":[]}]' })
    own.mockRestore()
  })
})

test('what JSON refuses is refused as it is, unless the value was too large before', () => {
  const cycle: Record<string, unknown> = { text: 'x'.repeat(50) }
  cycle['self'] = { cycle }
  expect(encodeJson(cycle, 1_000)).toMatchObject({ kind: 'refused', why: expect.stringMatching(/circular/) as string })
  expect(encodeJson(cycle, 40)).toMatchObject({ kind: 'too_large' })
  expect(encodeJson({ f: () => 1 }, 1_000)).toMatchObject({ kind: 'refused' })
  expect(encodeJson(1n, 1_000)).toMatchObject({ kind: 'refused' })
  let deep: unknown = 1
  for (let level = 0; level < 1_000_000; level += 1) deep = [deep]
  expect(encodeJson(deep, Infinity)).toMatchObject({ kind: 'refused' })
})
