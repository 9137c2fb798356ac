/**
 * Signatures of Standard Webhooks. Secrets are held by closures only, so no view of an object shows one, and no message
 * quotes one.
 */
import type * as StandardWebhooks from 'standardwebhooks'
import { requirePackage } from '../required-package.ts'

/** With two secrets the receiver may still know the old one only: each signs. */
const MAX_SECRETS = 8
const MIN_SECRET_BYTES = 24
const MAX_SECRET_BYTES = 64
const PREFIX = 'whsec_'
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** One secret, or several while receivers change from one to the next. */
export interface WebhookSecrets {
  /** `whsec_` and 24 to 64 bytes in base64; the prefix may be left out. */
  readonly secret?: string
  /** All that sign, at most eight: a receiver needs one of them. Instead of `secret`. */
  readonly secrets?: readonly string[]
}

/** What goes with a body so that its receiver can tell from whom it is, and when it was sent. */
export type SignBody = (signed: { readonly id: string; readonly body: string; readonly at: Date }) => {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/** @throws `TypeError` that names the option and says nothing of its value. */
export function createSigner(name: string, { secret, secrets }: WebhookSecrets): SignBody {
  if ((secret === undefined) === (secrets === undefined)) throw new TypeError(`${name} needs a secret, or secrets`)
  const given: unknown = secrets ?? [secret]
  if (!Array.isArray(given) || given.length === 0 || given.length > MAX_SECRETS) {
    throw new TypeError(`${name}.secrets must be a list of 1 to ${MAX_SECRETS}`)
  }
  const { Webhook } = requirePackage('standardwebhooks', 'The webhook channel') as typeof StandardWebhooks
  const signers = given.map((value: unknown) => new Webhook(checkSecret(name, value)))
  return ({ id, body, at }) => ({
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': signers.map((signer) => signer.sign(id, at, body)).join(' '),
  })
}

function checkSecret(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : ''
  const base64 = text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text
  const { length } = Buffer.from(base64, 'base64')
  if (BASE64.test(base64) && base64.length % 4 === 0 && length >= MIN_SECRET_BYTES && length <= MAX_SECRET_BYTES)
    return text
  throw new TypeError(
    `${name}: a secret must be ${PREFIX} and ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes in base64, with its padding`,
  )
}
