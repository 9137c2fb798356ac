/**
 * What the keys of one deployment are called.
 *
 * All of them share the hash tag `{prefix}`, and so one slot of a Redis Cluster: a commit touches the record of a task, the
 * feeds, the claims and the counters, and has to be one script. The braces also end the prefix, so no prefix is the
 * beginning of another one's keys.
 */
import { badOption } from '../../options.ts'

const PREFIX = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/

/** What most ids and names are made of stays as it is. */
const PLAIN = /^[\w:. -]*$/

export interface KeySpace {
  /** What every key begins with. */
  readonly base: string
  readonly incarnation: string
  /** The channel of hints. */
  readonly hints: string
}

export function createKeySpace(prefix: unknown): KeySpace {
  if (typeof prefix !== 'string' || !PREFIX.test(prefix)) {
    throw badOption('prefix', 'a letter or digit and up to 63 more, or `_`, `.`, `:`, `-`', prefix)
  }
  const base = `{${prefix}}:`
  return { base, incarnation: `${base}incarnation`, hints: `${base}hints` }
}

/**
 * A text of the host's as part of a key or as a value that scripts compare: without control characters, and well-formed, as
 * half a surrogate pair would become the same replacement character as any other half. Different texts stay different.
 */
export function toKeyPart(text: string): string {
  return PLAIN.test(text) ? text : JSON.stringify(text).slice(1, -1)
}

export function fromKeyPart(part: string): string {
  return String(JSON.parse(`"${part}"`))
}

/** Unambiguous, as key parts have no line breaks. Scripts look at the kind. */
export function claimField(claim: { readonly owner: string; readonly kind: string; readonly key: string }): string {
  return `${claim.kind}:${toKeyPart(claim.owner)}\n${toKeyPart(claim.key)}`
}
