/** The keys of a call: of what it excludes, and of what it repeats. */
import { createHash } from 'node:crypto'
import { ON_BUSY } from '../../machines/policies/busy-key.ts'
import { TaskError } from '../errors.ts'
import { checkChoice, checkKey, optional, orDefault } from '../options.ts'
import type { KeyFunction, KeyPlace } from '../ports/tool.ts'
import type { TaskSpec } from '../runtime/task-spec.ts'
import type { ResolvedTool } from '../tool.ts'

/** The keys of a call: they depend on its input. */
export function toWishes(
  { name, policy }: ResolvedTool,
  options: Readonly<Record<string, unknown>>,
  input: unknown,
  { conversation }: KeyPlace,
): Pick<TaskSpec, 'concurrency' | 'dedupe'> | undefined {
  const askedKey: unknown = orDefault(options['concurrencyKey'], policy.concurrencyKey)
  const askedDedupe: unknown = orDefault(options['dedupeKey'], policy.dedupeKey)
  if (askedKey === undefined && askedDedupe === undefined) return undefined
  const toKey = (option: string, asked: unknown): string | undefined => {
    const key: unknown = typeof asked === 'function' ? (asked as KeyFunction<unknown>)(input, { conversation }) : asked
    return optional(key, (value) => checkKey(option, value))
  }
  const onBusy = optional(options['onBusy'], (value) => checkChoice('onBusy', value, ON_BUSY)) ?? policy.onBusy
  return {
    concurrency: optional(toKey('concurrencyKey', askedKey), (key) => ({ key, onBusy: onBusy ?? 'reject' })),
    dedupe: optional(toKey('dedupeKey', askedDedupe), (key) => ({ key, digest: digestOf(name, input) })),
  }
}

/** The same for calls that ask for the same. The order of properties says nothing. */
function digestOf(tool: string, input: unknown): string {
  const sorted = (_key: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  try {
    return createHash('sha256')
      .update(JSON.stringify([tool, input], sorted))
      .digest('base64url')
  } catch (cause) {
    throw new TaskError('input_invalid', 'The input of a call with a dedupe key must be JSON.', { cause })
  }
}
