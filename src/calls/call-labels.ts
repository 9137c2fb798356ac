/** What a call says about its task, for whoever looks for it. */
import type { Correlation } from '../../machines/policies/lineage.ts'
import { TaskError } from '../errors.ts'
import { checkKey, checkOptionNames } from '../options.ts'
import { decodeFrozen, encodeJson } from '../runtime/values/json.ts'

const NAME = /^[a-z][a-z0-9_-]{0,63}$/
const RESERVED_NAMES = new Set(['parent', 'owner', 'self', 'all', 'broadcast'])
const MAX_METADATA_BYTES = 16 * 1024

/** @throws `name_invalid` */
export function toName(value: unknown): string {
  const name = typeof value === 'string' ? value.toLowerCase() : ''
  if (NAME.test(name) && !RESERVED_NAMES.has(name)) return name
  throw new TaskError('name_invalid', 'A name is a letter and up to 63 letters, digits, _ or -, and no reserved word.')
}

export function toMetadata(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('metadata must be an object')
  const encoded = encodeJson(value, MAX_METADATA_BYTES)
  switch (encoded.kind) {
    case 'json':
      return decodeFrozen(encoded.json) as Readonly<Record<string, unknown>>
    case 'refused':
      throw new TypeError('metadata cannot be kept as JSON', { cause: new TypeError(encoded.why) })
    case 'too_large':
      throw new TypeError(
        `metadata must be at most ${MAX_METADATA_BYTES} bytes of JSON, got ${encoded.atLeastBytes} or more`,
      )
  }
}

export function toCorrelation(value: unknown): Correlation {
  const given = checkOptionNames('correlation', value, ['runId', 'callId', 'agentId'])
  const entries = Object.entries(given).filter(([, id]) => id !== undefined)
  return Object.freeze(Object.fromEntries(entries.map(([key, id]) => [key, checkKey(`correlation.${key}`, id)])))
}
