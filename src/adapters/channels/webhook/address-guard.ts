/**
 * Which URLs and addresses a webhook may be sent to: public ones, unless the host has named others.
 *
 * 1. What is not known to be public is refused: private, loopback, link-local, shared, multicast, reserved and unspecified
 *    addresses, and every IPv6 address that carries an IPv4 one.
 * 2. An address is judged as itself, however it was written.
 * 3. A refusal names no address, so it tells nobody what a name means inside the host's network.
 */
import { isIP } from 'node:net'
import type * as IpAddresses from 'ipaddr.js'
import { requirePackage } from '../required-package.ts'

export interface AddressRules {
  /** Hosts and addresses that need not be public. */
  readonly allow: ReadonlySet<string>
  readonly allowHttp: boolean
  readonly ports: ReadonlySet<number>
}

export interface AddressGuard {
  /** Why nothing may be sent to this URL, as far as that is known without asking a resolver. */
  refuseUrl(url: URL): string | undefined
  /** Why nothing may be sent to this address, which the host has or is. */
  refuseAddress(host: string, address: string): string | undefined
}

const NOT_PUBLIC = 'its address is not a public one'
const SPACE_OR_CONTROL = /[\s\u0000-\u001f\u007f-\u009f]/u

/** A URL exactly as it is written; `URL` itself would drop line breaks and spaces silently. */
export function parseUrl(text: string): URL | undefined {
  if (SPACE_OR_CONTROL.test(text) || text.includes('#') || !URL.canParse(text)) return undefined
  return new URL(text)
}

/** The host of a URL as a name or a bare address, in one form. */
export function hostOf(url: URL): string {
  return foldHost(url.hostname)
}

/** Lower case, without the brackets of an IPv6 address and the dot that ends a whole name. */
export function foldHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port)
  return url.protocol === 'https:' ? 443 : 80
}

export function createAddressGuard({ allow, allowHttp, ports }: AddressRules): AddressGuard {
  const addresses = requirePackage('ipaddr.js', 'The webhook channel') as typeof IpAddresses

  const isPublic = (address: string): boolean => {
    // A zone makes an address one of this machine's own links.
    if (isIP(address) === 0 || address.includes('%')) return false
    const parsed = addresses.parse(address)
    if (parsed.range() !== 'unicast') return false
    // Of IPv6 only 2000::/3 is given out. That leaves out what carries an IPv4 address and passes for plain, as ::7f00:1.
    return parsed.kind() === 'ipv4' || (parsed.toByteArray().at(0) ?? 0) >> 5 === 1
  }

  const refuseAddress = (host: string, address: string): string | undefined =>
    allow.has(host) || allow.has(address.toLowerCase()) || isPublic(address) ? undefined : NOT_PUBLIC

  return {
    refuseAddress,
    refuseUrl(url) {
      if (url.protocol !== 'https:' && !(url.protocol === 'http:' && allowHttp)) {
        return `its scheme has to be https${allowHttp ? ' or http' : ''}`
      }
      if (url.username !== '' || url.password !== '') return 'it must not carry credentials'
      if (!ports.has(portOf(url))) return 'its port is not an allowed one'
      const host = hostOf(url)
      if (isIP(host) !== 0) return refuseAddress(host, host)
      const isLocal = host === '' || host === 'localhost' || host.endsWith('.localhost')
      return isLocal && !allow.has(host) ? NOT_PUBLIC : undefined
    },
  }
}
