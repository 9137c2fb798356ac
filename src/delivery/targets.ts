/** Where a result goes, as text: `channel` or `channel:id`. */
import { TaskError } from '../errors.ts'
import { badOption, quote } from '../options.ts'
import type { Channel, DeliveryTarget } from '../ports/channel.ts'
import { checkChannelLimits } from './text-size.ts'

/** Places the result of one task may go to. */
export const MAX_TARGETS = 100
const MAX_TARGET_CHARS = 512
const CHANNEL_NAME = /^[a-z][a-z0-9_-]{0,63}$/

/** Trimmed; the channel in lower case; the first colon splits, and the rest is the id. @throws `target_invalid` */
export function parseTarget(text: unknown): DeliveryTarget {
  const trimmed = typeof text === 'string' && text.length <= MAX_TARGET_CHARS ? text.trim() : ''
  const colon = trimmed.indexOf(':')
  const channel = (colon === -1 ? trimmed : trimmed.slice(0, colon)).trim().toLowerCase()
  const id = colon === -1 ? '' : trimmed.slice(colon + 1).trim()
  if (!CHANNEL_NAME.test(channel)) {
    throw new TaskError('target_invalid', `A target is channel or channel:id, got ${quote(text)}.`)
  }
  return { channel, id }
}

/** The target as it is kept: equal targets have equal texts. */
function formatTarget({ channel, id }: DeliveryTarget): string {
  return id === '' ? channel : `${channel}:${id}`
}

/** Who may have what sent where. */
export interface DeliveryRequest {
  readonly owner: string
  /** As it is kept: `channel` or `channel:id`. */
  readonly target: string
}

/** Says whether an owner may have results sent to a target. */
export type DeliveryPolicy = (request: DeliveryRequest) => boolean

/** The places that results may go to. */
export interface Targets {
  readonly channels: ReadonlyMap<string, Channel>
  /** A target that a channel will take, in its kept form. @throws `target_invalid` */
  resolve(text: unknown): string
  /** One that this owner may use, too. @throws `target_invalid`, `not_allowed` */
  resolveFor(owner: string, text: unknown): string
  isAllowed(request: DeliveryRequest): boolean
}

export function createTargets(channels: ReadonlyMap<string, Channel>, policy: DeliveryPolicy | undefined): Targets {
  const resolve: Targets['resolve'] = (text) => {
    const target = parseTarget(text)
    const channel = channels.get(target.channel)
    if (channel === undefined) throw new TaskError('target_invalid', `There is no channel ${quote(target.channel)}.`)
    const refusal = channel.refuse?.(target.id)
    if (refusal !== undefined) throw new TaskError('target_invalid', `${quote(text)} is no target: ${refusal}.`)
    return formatTarget(target)
  }
  // What is not plainly allowed is not.
  const isAllowed: Targets['isAllowed'] = ({ owner, target }) =>
    policy === undefined || (policy({ owner, target }) as unknown) === true
  return {
    channels,
    resolve,
    isAllowed,
    resolveFor(owner, text) {
      const target = resolve(text)
      if (isAllowed({ owner, target })) return target
      throw new TaskError('not_allowed', `Results may not be sent to ${quote(target)}.`)
    },
  }
}

/** The channels of a supervisor by their folded names. */
export function toChannelMap(channels: Readonly<Record<string, Channel>>): ReadonlyMap<string, Channel> {
  const map = new Map<string, Channel>()
  for (const [name, channel] of Object.entries(channels)) {
    const folded = name.toLowerCase()
    if (!CHANNEL_NAME.test(folded)) throw new TypeError(`channels: ${quote(name)} is no channel name`)
    const send = (channel as Partial<Channel> | null | undefined)?.send
    if (typeof send !== 'function') throw badOption(`channels.${name}.send`, 'a function', send)
    if (map.has(folded)) throw new TypeError(`channels: ${quote(name)} is there twice`)
    if (channel.limits !== undefined) checkChannelLimits(`channels.${name}.limits`, channel.limits)
    map.set(folded, channel)
  }
  return map
}

/** Targets as they are kept, each once. @throws what `resolve` throws, or a TypeError for too many */
export function toTargets(value: unknown, resolve: (text: unknown) => string): readonly string[] {
  const targets = Array.isArray(value) ? (value as unknown[]) : [value]
  if (targets.length > MAX_TARGETS) throw badOption('deliverTo', `at most ${MAX_TARGETS} targets`, targets.length)
  return Object.freeze([...new Set(targets.map(resolve))])
}
