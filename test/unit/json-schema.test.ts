import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { embedSchema } from '../../src/faces/tools/json-schema.ts'
import { tellJsonSchema, toJsonSchema } from '../../src/schema.ts'

const PLACE = '#/properties/input'

/** What a reference means in a document. */
function resolve(document: unknown, reference: string): unknown {
  const path = reference.slice(1).split('/').slice(1)
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document)
}

function referencesIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]: [string, unknown]) =>
    key === '$ref' && typeof value === 'string' ? [value] : referencesIn(value),
  )
}

describe('a schema as a part of another', () => {
  const Node = z.object({
    name: z.string(),
    get children() {
      return z.array(Node)
    },
  })

  test.each([
    { what: 'one that refers to itself', schema: Node },
    { what: 'one that refers to a definition', schema: z.object({ left: Node, right: Node }) },
  ])('$what means the same from its new place', ({ schema }) => {
    const alone = toJsonSchema(schema) ?? {}
    const document = { properties: { input: embedSchema(alone, PLACE) } }
    const references = referencesIn(document)
    expect(references.length).toBeGreaterThan(0)
    for (const reference of references) {
      expect(reference.startsWith(PLACE)).toBe(true)
      expect(resolve(document, reference)).toMatchObject({ type: 'object', required: ['name', 'children'] })
    }
  })

  test('names that look like keywords and values that look like references stay as they are', () => {
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: { $ref: { type: 'string' }, default: { $ref: '#/$defs/a' }, plain: { $ref: 'https://x.test/#/a' } },
      default: { $ref: '#/$defs/a' },
      enum: [{ $ref: '#' }],
      $defs: {
        a: { const: { $ref: '#' } },
        own: { $id: 'https://x.test/own', items: { $ref: '#' } },
        const: { $ref: '#' },
      },
      anyOf: [{ $ref: '#/$defs/a' }, true],
    }
    expect(embedSchema(schema, PLACE)).toEqual({
      type: 'object',
      properties: {
        $ref: { type: 'string' },
        default: { $ref: `${PLACE}/$defs/a` },
        plain: { $ref: 'https://x.test/#/a' },
      },
      default: { $ref: '#/$defs/a' },
      enum: [{ $ref: '#' }],
      $defs: {
        a: { const: { $ref: '#' } },
        own: { $id: 'https://x.test/own', items: { $ref: '#' } },
        const: { $ref: PLACE },
      },
      anyOf: [{ $ref: `${PLACE}/$defs/a` }, true],
    })
  })

  test('it is a copy, and no key of it changes what objects inherit', () => {
    const schema = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}') as Record<
      string,
      unknown
    >
    const embedded = embedSchema(schema, PLACE)
    const properties = embedded['properties'] as object
    expect(Object.getPrototypeOf(properties)).toBe(Object.prototype)
    expect(Object.keys(properties)).toEqual(['__proto__'])
    expect(properties).not.toBe(schema['properties'])
  })
})

test('a schema tells its JSON Schema in the draft that is asked for, or none where it cannot', () => {
  const plain = { '~standard': { version: 1 as const, vendor: 'plain', validate: (value: unknown) => ({ value }) } }
  expect(tellJsonSchema(plain, 'draft-2020-12')).toBeUndefined()
  expect(tellJsonSchema(z.string(), 'draft-07')).toMatchObject({
    $schema: expect.stringContaining('draft-07') as unknown,
  })
  expect(() => tellJsonSchema(z.date(), 'draft-07')).toThrow('Date')
  expect(toJsonSchema(z.date())).toBeUndefined()
})
