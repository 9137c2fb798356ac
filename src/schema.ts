/** Values and the Standard Schemas that they have to fit. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import { TaskError } from './errors.ts'
import { badOption } from './options.ts'

/** A value as its schema gives it. */
export interface Fitted {
  readonly value: unknown
}

export function checkSchema(name: string, value: unknown): StandardSchemaV1 {
  const isObject = (typeof value === 'object' || typeof value === 'function') && value !== null
  if (!isObject || !('~standard' in value)) throw badOption(name, 'a Standard Schema', value)
  return value as StandardSchemaV1
}

/**
 * Fits a value to a schema. It answers at once unless the schema does not. `refusal` begins the message of what is
 * thrown. @throws `input_invalid`, and what the schema throws
 */
export function fitTo(schema: StandardSchemaV1, value: unknown, refusal: string): Fitted | Promise<Fitted> {
  const judge = (result: StandardSchemaV1.Result<unknown>): Fitted => {
    if (result.issues === undefined) return result
    const details = result.issues.map((issue) => ({ message: issue.message, path: toPath(issue.path) }))
    throw new TaskError('input_invalid', `${refusal}: ${details[0]?.message ?? 'refused'}`, { details })
  }
  const verdict = schema['~standard'].validate(value)
  // Any thenable: what is no promise of ours must not pass for a verdict.
  return 'then' in verdict ? Promise.resolve(verdict).then(judge) : judge(verdict)
}

/** What a value has to look like, as JSON Schema, where the schema can say so. */
export function toJsonSchema(schema: StandardSchemaV1): Readonly<Record<string, unknown>> | undefined {
  try {
    return tellJsonSchema(schema, 'draft-2020-12')
  } catch {
    // Not every schema can be told in JSON Schema; it still checks.
    return undefined
  }
}

/** As `toJsonSchema`, in a draft of the caller's. @throws what the schema throws that cannot be told */
export function tellJsonSchema(
  schema: StandardSchemaV1,
  target: StandardJSONSchemaV1.Target,
): Readonly<Record<string, unknown>> | undefined {
  const standard = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>
  return standard.jsonSchema?.input({ target })
}

function toPath(path: StandardSchemaV1.Issue['path']): string {
  return (path ?? [])
    .map((part) => String(typeof part === 'object' && part !== null && 'key' in part ? part.key : part))
    .join('.')
}
