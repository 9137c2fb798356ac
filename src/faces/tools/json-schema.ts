/** JSON Schemas as parts of a larger one. */
import type { StandardJSONSchemaV1 } from '@standard-schema/spec'

/** A JSON Schema that is an object. */
export type JsonSchema = Readonly<Record<string, unknown>>

export type JsonSchemaTarget = StandardJSONSchemaV1.Target

/** Where the keys of an object are names that somebody chose, and no keywords. */
const NAMED = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])
/** Where there are values, and no schemas. */
const VALUES = new Set(['const', 'enum', 'default', 'examples'])

/**
 * A schema as a part of another one, at `place` (`#/properties/input`). What it says of its own parts by a reference from
 * its root is said from the new root; what has an `$id` is a root of its own and stays as it is.
 */
export function embedSchema(schema: JsonSchema, place: string): Record<string, unknown> {
  const { $schema: _, ...rest } = schema
  return move(rest, place) as Record<string, unknown>
}

function move(schema: unknown, place: string): unknown {
  if (Array.isArray(schema)) return schema.map((part) => move(part, place))
  if (typeof schema !== 'object' || schema === null) return schema
  if ('$id' in schema) return structuredClone(schema)
  return mapEntries(schema, (keyword, value) => {
    if (keyword === '$ref' && typeof value === 'string') return moveReference(value, place)
    if (VALUES.has(keyword)) return structuredClone(value)
    if (!NAMED.has(keyword) || typeof value !== 'object' || value === null) return move(value, place)
    return mapEntries(value, (_name, named) => move(named, place))
  })
}

function moveReference(reference: string, place: string): string {
  return reference === '#' || reference.startsWith('#/') ? `${place}${reference.slice(1)}` : reference
}

function mapEntries(object: object, map: (key: string, value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]: [string, unknown]) => [key, map(key, value)]))
}
