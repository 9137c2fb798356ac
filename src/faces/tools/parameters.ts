/** The arguments of control tools: what a model is told of each, and how what it wrote is read. */
import type { JsonSchema, JsonSchemaTarget } from './json-schema.ts'

/** One argument. */
export interface Parameter<Value> {
  readonly isRequired: boolean
  /** Nothing for one that a model is not told of. */
  toSchema(target: JsonSchemaTarget): JsonSchema | undefined
  /** Anything at all, absent ones as `undefined`, to what the tool can use. */
  read(value: unknown): Value
}

export type Parameters = Readonly<Record<string, Parameter<unknown>>>

export type Arguments<Known extends Parameters> = { readonly [Name in keyof Known]: ReturnType<Known[Name]['read']> }

const MAX_WAIT_SECONDS = 300
const MS_PER_SECOND = 1_000

export function toArguments<Known extends Parameters>(parameters: Known, given: unknown): Arguments<Known> {
  const own = (name: string): unknown =>
    typeof given === 'object' && given !== null && Object.hasOwn(given, name)
      ? (given as Readonly<Record<string, unknown>>)[name]
      : undefined
  const entries = Object.entries(parameters).map(([name, parameter]) => [name, parameter.read(own(name))] as const)
  return Object.fromEntries(entries) as Arguments<Known>
}

export function toInputSchema(parameters: Parameters, target: JsonSchemaTarget): Record<string, unknown> {
  const all = Object.entries(parameters)
  const schemas = all.map(([name, parameter]) => [name, parameter.toSchema(target)] as const)
  return {
    type: 'object',
    properties: Object.fromEntries(schemas.filter(([, schema]) => schema !== undefined)),
    required: all.filter(([, { isRequired }]) => isRequired).map(([name]) => name),
  }
}

/** A text; what is none is the empty one, which names nothing. The choices are told, and not held to. */
export function text(
  description: string,
  options: { readonly isRequired?: boolean; readonly choices?: readonly string[] } = {},
): Parameter<string> {
  const { isRequired = false, choices } = options
  return {
    isRequired,
    toSchema: () => ({ type: 'string', description, ...(choices === undefined ? {} : { enum: [...choices] }) }),
    read: (value) => (typeof value === 'string' ? value : ''),
  }
}

/** Only `true` is true. Without a description a model is not told of it, and nothing it writes counts. */
export function flag(description: string | undefined): Parameter<boolean> {
  return {
    isRequired: false,
    toSchema: () => (description === undefined ? undefined : { type: 'boolean', description }),
    read: (value) => description !== undefined && value === true,
  }
}

/** A value of the schema's kind, which is not looked at here. */
export function anything(toSchema: (target: JsonSchemaTarget) => JsonSchema): Parameter<unknown> {
  return { isRequired: true, toSchema, read: (value) => value }
}

export const TASK_ID = text('The id of the task.', { isRequired: true })

export const WAIT_SECONDS: Parameter<number> = {
  isRequired: false,
  toSchema: () => ({
    type: 'number',
    description: `How long to wait at most, in seconds. Default and longest: ${MAX_WAIT_SECONDS}.`,
  }),
  read(value) {
    const seconds = toNumber(value)
    return seconds >= 0 && seconds <= MAX_WAIT_SECONDS ? seconds : MAX_WAIT_SECONDS
  },
}

export const PAGE: Parameter<number> = {
  isRequired: false,
  toSchema: () => ({ type: 'integer', description: 'Which page of a long result, from 1. Default: 1.' }),
  read(value) {
    const page = Math.floor(toNumber(value))
    return page >= 1 && Number.isSafeInteger(page) ? page : 1
  },
}

/** Models write numbers as texts at times. */
function toNumber(value: unknown): number {
  if (typeof value === 'number') return value
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN
}

/** The shortest wait there is stands for none. */
export function toWaitMs(seconds: number): number {
  return Math.max(1, seconds * MS_PER_SECOND)
}
