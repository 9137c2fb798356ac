import { expect, test } from 'vitest'
import { fromKept, toKept, toKeptJson } from '../../src/adapters/sql/kept-text.ts'
import { fromNotification, toNotification } from '../../src/adapters/sql/postgres-notification.ts'
import { fc } from '../support/properties.ts'

/** Any UTF-16, with halves of pairs and NUL. */
const anyText = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) })
const NOT_KEPT = /[\p{Surrogate}\u0000]/u

test('every text comes back as it was, in characters that every database keeps', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(fromKept(toKept(text))).toBe(text)
      expect(toKept(text)).not.toMatch(NOT_KEPT)
    }),
  )
})

test('texts that differ are kept differently', () => {
  fc.assert(
    fc.property(anyText, anyText, (one, other) => {
      expect(toKept(one) === toKept(other)).toBe(one === other)
    }),
  )
  expect(toKept('\u0000')).not.toBe(toKept('\\u0000'))
})

test('usual texts are kept as they are', () => {
  for (const text of ['user:42', 'slack:C123', 'é 🙂 中', "it's"]) expect(toKept(text)).toBe(text)
})

test('kept JSON means what it meant', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const raw = `"${text.replace(/["\\\u0000-\u001f]/g, '')}"`
      expect(toKeptJson(raw)).not.toMatch(NOT_KEPT)
      expect(JSON.parse(toKeptJson(raw))).toBe(JSON.parse(raw))
    }),
  )
})

test('what is told through a server comes back, or says that there is something', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ owner: anyText })), anyText, (hints, from) => {
      const payload = toNotification(from.slice(0, 50), hints)
      expect(Buffer.byteLength(payload)).toBeLessThan(8_000)
      expect(payload).toMatch(/^[\u0020-\u007e]*$/)
      const told = fromNotification(payload)
      expect(told.from).toBe(from.slice(0, 50))
      if (told.hints.some((hint) => Object.keys(hint).length === 0)) expect(payload).toContain('[{}]')
      else expect(told.hints).toEqual(hints)
    }),
  )
  expect(fromNotification(toNotification('x', [{ owner: 'é'.repeat(5_000) }])).hints).toEqual([{}])
  for (const odd of [undefined, '', 'x', '1', 'null', '{"hints":1}']) expect(fromNotification(odd).hints).toEqual([{}])
  expect(fromNotification('{"hints":[1,null,{"node":1,"owner":"ann"}]}').hints).toEqual([{}, {}, { owner: 'ann' }])
})
