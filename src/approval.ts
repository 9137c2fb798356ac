/** The question that most tasks ask: may I? */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'

/** The answer to an approval. */
export interface Approval {
  readonly approved: boolean
  readonly note?: string
}

/**
 * The schema of an approval: `{ approved, note? }`.
 *
 * @example
 * ```ts
 * import { approval, createTaskSupervisor } from 'outlive'
 *
 * const tasks = createTaskSupervisor()
 * const deploy = await tasks.spawn(async (_input: undefined, ctx) => {
 *   const { approved, note } = await ctx.ask('deploy', 'Deploy to production?', { schema: approval })
 *   return approved ? 'deployed' : `not deployed: ${note ?? 'no reason given'}`
 * }, undefined)
 * await deploy.answer('deploy', { approved: false, note: 'it is Friday' })
 * console.log(await deploy.result()) // not deployed: it is Friday
 * await tasks.shutdown()
 * ```
 */
export const approval: StandardSchemaV1<Approval> & StandardJSONSchemaV1<Approval> = Object.freeze({
  '~standard': Object.freeze({
    version: 1 as const,
    vendor: 'outlive',
    validate,
    jsonSchema: { input, output: input },
  }),
})

function validate(value: unknown): StandardSchemaV1.Result<Approval> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('must be an object')
  const { approved, note } = value as Readonly<Record<string, unknown>>
  if (typeof approved !== 'boolean') return refuse('must be true or false', 'approved')
  if (note === undefined) return { value: { approved } }
  return typeof note === 'string' ? { value: { approved, note } } : refuse('must be a text', 'note')
}

function refuse(message: string, key?: string): StandardSchemaV1.FailureResult {
  return {
    issues: [key === undefined ? { message: `An approval ${message}` } : { message: `${key} ${message}`, path: [key] }],
  }
}

function input(): Record<string, unknown> {
  return {
    type: 'object',
    properties: { approved: { type: 'boolean' }, note: { type: 'string' } },
    required: ['approved'],
  }
}
