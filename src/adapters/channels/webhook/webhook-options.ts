/** The options of a webhook channel, checked. No message quotes a URL, a header or a secret: each may be one. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { checkBoolean, checkDuration, checkFunction, checkOptionNames, checkWhole } from '../../../options.ts'
import { createAddressGuard, foldHost, hostOf, parseUrl, type AddressGuard } from './address-guard.ts'
import type { RequestSettings } from './guarded-request.ts'
import { createSigner, type SignBody, type WebhookSecrets } from './webhook-signer.ts'

/** A place of the host's own that takes webhooks. */
export interface WebhookEndpoint extends WebhookSecrets {
  readonly url: string
  /** Sent along, as an `authorization`. Those of the transport and of the signature are taken. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface WebhookChannelOptions {
  /** Places by the names that targets use: `webhook:NAME`. */
  readonly endpoints?: Readonly<Record<string, WebhookEndpoint>>
  /** Lets a target name any public URL, `webhook:https://…`, signed with these. @defaultValue only `endpoints` are known */
  readonly anyUrl?: WebhookSecrets
  /**
   * Hosts and addresses that may be sent to though they are not public. A host that is named here may have any address. It
   * holds for `anyUrl` too: make two channels where users name URLs and endpoints are not public.
   *
   * @defaultValue none
   */
  readonly allow?: readonly string[]
  /** @defaultValue false */
  readonly allowHttp?: boolean
  /** Ports besides 443, and 80 for http. @defaultValue none */
  readonly allowPorts?: readonly number[]
  /** One attempt as a whole, from the name to the end of the answer; at most 30,000. @defaultValue 15_000 */
  readonly timeoutMs?: number
  /** Of an answer's body this much is read; it is thrown away. @defaultValue 65_536 */
  readonly maxAnswerBytes?: number
  /** Certificates to trust instead of those that Node knows, in PEM. */
  readonly ca?: string | readonly string[]
  /** The addresses of a host. @defaultValue what the system says */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

/** Where a message goes, and how it is signed. */
export interface Endpoint {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly sign: SignBody
}

export interface WebhookSettings extends RequestSettings {
  readonly guard: AddressGuard
  readonly endpoints: ReadonlyMap<string, Endpoint>
  readonly signAnyUrl: SignBody | undefined
  readonly timeoutMs: number
}

const OPTION_NAMES = [
  'endpoints',
  'anyUrl',
  'allow',
  'allowHttp',
  'allowPorts',
  'timeoutMs',
  'maxAnswerBytes',
  'ca',
  'resolve',
] as const satisfies readonly (keyof WebhookChannelOptions)[]

const MAX_TIMEOUT_MS = 30_000
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const MAX_URL_CHARS = 2_048
const MAX_HEADER_CHARS = 4_096
const ENDPOINT_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** What the channel says itself, and what would change how a message is framed. */
const TAKEN_HEADER =
  /^(webhook-.*|host|content-(type|length|encoding)|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|proxy-.*)$/

/** @throws `TypeError` that names the option, or the package that is missing. */
export function checkWebhookOptions(options: WebhookChannelOptions): WebhookSettings {
  checkOptionNames('options', options, OPTION_NAMES)
  const { endpoints = {}, anyUrl, allow = [], allowPorts = [], ca, resolve = systemAddresses } = options
  const allowHttp = checkBoolean('allowHttp', options.allowHttp ?? false)
  const guard = createAddressGuard({
    allow: new Set(checkList('allow', allow).map(checkAllowed)),
    allowHttp,
    ports: checkPorts(allowPorts, allowHttp),
  })
  if (anyUrl !== undefined) checkFields('anyUrl', anyUrl, ['secret', 'secrets'])
  const named = new Map(
    Object.entries(checkFields('endpoints', endpoints)).map(
      ([name, endpoint]) => [name, checkEndpoint(name, endpoint, guard)] as const,
    ),
  )
  if (named.size === 0 && anyUrl === undefined) throw new TypeError('webhookChannel needs endpoints, or anyUrl')
  const timeoutMs = checkDuration('timeoutMs', options.timeoutMs ?? 15_000)
  if (timeoutMs > MAX_TIMEOUT_MS) throw new TypeError(`timeoutMs must be at most ${MAX_TIMEOUT_MS}, got ${timeoutMs}`)
  return {
    guard,
    endpoints: named,
    signAnyUrl: anyUrl === undefined ? undefined : createSigner('anyUrl', anyUrl),
    timeoutMs,
    maxAnswerBytes: checkWhole('maxAnswerBytes', options.maxAnswerBytes ?? 65_536, { min: 0, max: MAX_ANSWER_BYTES }),
    trust: createSecureContext(ca === undefined ? {} : { ca: checkCertificates(ca) }),
    resolve: checkFunction('resolve', resolve),
  }
}

async function systemAddresses(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

function checkEndpoint(name: string, endpoint: WebhookEndpoint, guard: AddressGuard): Endpoint {
  if (!ENDPOINT_NAME.test(name)) {
    throw new TypeError('endpoints: a name is a letter or digit followed by up to 63 letters, digits, _ or -')
  }
  const path = `endpoints.${name}`
  checkFields(path, endpoint, ['url', 'secret', 'secrets', 'headers'])
  const { url: text, headers = {}, ...secrets } = endpoint
  const url = typeof text === 'string' && text.length <= MAX_URL_CHARS ? parseUrl(text) : undefined
  if (url === undefined) {
    throw new TypeError(`${path}.url must be a URL of at most ${MAX_URL_CHARS} characters, without spaces and fragment`)
  }
  const refusal = guard.refuseUrl(url)
  if (refusal !== undefined) throw new TypeError(`${path}.url cannot be used: ${refusal}`)
  return { url, headers: checkHeaders(path, headers), sign: createSigner(path, secrets) }
}

function checkHeaders(path: string, headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const checked = Object.entries(checkFields(`${path}.headers`, headers)).map(([name, value]: [string, unknown]) => {
    const isFine = HEADER_NAME.test(name) && !TAKEN_HEADER.test(name.toLowerCase())
    if (!isFine) throw new TypeError(`${path}.headers has a name that no header may have, or that is taken`)
    if (typeof value !== 'string' || value.length > MAX_HEADER_CHARS || !HEADER_VALUE.test(value)) {
      throw new TypeError(`${path}.headers.${name} must be one line of at most ${MAX_HEADER_CHARS} characters`)
    }
    return [name.toLowerCase(), value] as const
  })
  return Object.fromEntries(checked)
}

/** A host or an address in the one form in which URLs and the guard name it. */
function checkAllowed(entry: unknown): string {
  const text = typeof entry === 'string' ? foldHost(entry) : ''
  const isAddress = isIP(text) === 6
  const url = isAddress || !/[/:?#@\\]/.test(text) ? parseUrl(`http://${isAddress ? `[${text}]` : text}/`) : undefined
  if (url === undefined) throw new TypeError('allow must name hosts and addresses only')
  return hostOf(url)
}

function checkPorts(allowPorts: readonly number[], allowHttp: boolean): ReadonlySet<number> {
  const more = checkList('allowPorts', allowPorts).map((port) =>
    checkWhole('allowPorts', port, { min: 1, max: 65_535 }),
  )
  return new Set([443, ...(allowHttp ? [80] : []), ...more])
}

/** As `checkOptionNames`, but a value in the wrong place is not quoted. */
function checkFields<Fields extends object>(path: string, fields: Fields, known?: readonly string[]): Fields {
  const given: unknown = fields
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new TypeError(`${path} must be an object`)
  checkOptionNames(path, given, known ?? Object.keys(given))
  return fields
}

function checkList(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as readonly unknown[]
  throw new TypeError(`${name} must be a list`)
}

function checkCertificates(ca: unknown): string[] {
  const given: readonly unknown[] = [ca].flat()
  const isFine =
    given.length > 0 && given.every((one) => typeof one === 'string' && one.includes('-----BEGIN CERTIFICATE-----'))
  if (isFine) return given as string[]
  throw new TypeError('ca must be certificates in PEM')
}
