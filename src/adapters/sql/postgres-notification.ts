/** What processes tell each other through the server. */
import type { StoreHint } from '../../ports/cluster-store.ts'

export interface Told {
  readonly from: string | undefined
  readonly hints: readonly StoreHint[]
}

/** The server takes less than 8,000 bytes. */
const MAX_CHARS = 7_500

/** ASCII, whatever is in the names. What would be too long says only that there is something. */
export function toNotification(from: string, hints: readonly StoreHint[]): string {
  const written = toAscii(JSON.stringify({ from, hints }))
  return written.length <= MAX_CHARS ? written : JSON.stringify({ from, hints: [{}] })
}

/** Anybody may have told it. */
export function fromNotification(payload: string | undefined): Told {
  try {
    const told: unknown = JSON.parse(payload ?? '')
    if (typeof told !== 'object' || told === null || !('hints' in told) || !Array.isArray(told.hints)) return UNKNOWN
    const from = 'from' in told && typeof told.from === 'string' ? told.from : undefined
    return { from, hints: told.hints.map(toHint) }
  } catch {
    return UNKNOWN
  }
}

const UNKNOWN: Told = { from: undefined, hints: [{}] }

function toHint(told: unknown): StoreHint {
  if (typeof told !== 'object' || told === null) return {}
  return {
    ...('node' in told && typeof told.node === 'string' ? { node: told.node } : {}),
    ...('owner' in told && typeof told.owner === 'string' ? { owner: told.owner } : {}),
  }
}

function toAscii(json: string): string {
  return json.replace(/[^\u0020-\u007e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
