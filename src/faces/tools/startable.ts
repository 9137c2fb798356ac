/** Tools that a host lets a model start: each with what a model has to know to call it. */
import { badOption, checkOptionNames } from '../../options.ts'
import type { AnyToolDefinition, Tool, ToolFunction } from '../../ports/tool.ts'
import { tellJsonSchema } from '../../schema.ts'
import { checkTool, type ResolvedTool } from '../../tool.ts'
import type { JsonSchema, JsonSchemaTarget } from './json-schema.ts'

/** A tool of which nobody here knows what it takes and gives. */
type AnyTool = ToolFunction<never, unknown> | AnyToolDefinition

/**
 * A tool whose input is a schema that knows its own JSON Schema (Standard JSON Schema, as that of zod 4), or any tool with
 * the JSON Schema of its input beside it. Without an `input` schema of its own a tool gets what the model wrote, unchecked.
 */
export type StartableTool = AnyTool | { readonly tool: AnyTool; readonly jsonSchema: JsonSchema }

export interface Startable {
  readonly name: string
  readonly description: string | undefined
  readonly policy: ResolvedTool['policy']
  readonly tool: Tool<unknown, unknown>
  toSchema(target: JsonSchemaTarget): JsonSchema
}

/** What a set's own schemas are written in. */
export const SCHEMA_TARGET = 'draft-2020-12'

/** @throws TypeError for what is no tool, for a tool without a JSON Schema, and for two of one name */
export function toStartables(given: unknown): readonly Startable[] {
  if (!Array.isArray(given)) throw badOption('start', 'an array of tools', given)
  const startables = (given as unknown[]).map((entry) => toStartable(entry))
  const names = startables.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw badOption('start', 'tools of different names', twice)
  return startables
}

function toStartable(entry: unknown): Startable {
  const isPair = typeof entry === 'object' && entry !== null && 'tool' in entry
  const { tool, jsonSchema } = isPair ? checkOptionNames('start', entry, ['tool', 'jsonSchema']) : { tool: entry }
  const resolved = checkTool(tool)
  const { name, description, policy } = resolved
  const toSchema = jsonSchema === undefined ? schemaOf(resolved) : asGiven(name, jsonSchema)
  return { name, description, policy, tool: tool as Tool<unknown, unknown>, toSchema }
}

function asGiven(name: string, jsonSchema: unknown): Startable['toSchema'] {
  if (typeof jsonSchema !== 'object' || jsonSchema === null || Array.isArray(jsonSchema)) {
    throw badOption(`start: jsonSchema of ${name}`, 'an object', jsonSchema)
  }
  return () => jsonSchema as JsonSchema
}

function schemaOf({ name, schema }: ResolvedTool): Startable['toSchema'] {
  const missing = `start: a model cannot be told what ${name} takes. Give it beside the tool: { tool, jsonSchema }`
  if (schema === undefined) throw new TypeError(`${missing}; the tool has no input schema.`)
  try {
    if (tellJsonSchema(schema, SCHEMA_TARGET) === undefined) {
      throw new TypeError('its input is a Standard Schema without `~standard.jsonSchema`')
    }
  } catch (error) {
    throw new TypeError(`${missing}; its input schema gives no JSON Schema.`, { cause: error })
  }
  return (target) => tellJsonSchema(schema, target) ?? {}
}
