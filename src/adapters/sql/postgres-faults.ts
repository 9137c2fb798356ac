/** What the errors of PostgreSQL say, and those of the way to it. */
import type { Fault } from './fault.ts'
import { ConnectionLostError, sqlStateOf } from './postgres-connections.ts'

/** By the beginning of the SQLSTATE. */
const FAULTS: readonly (readonly [prefix: string, fault: Fault])[] = [
  ['40001', 'conflict'],
  ['40P01', 'conflict'],
  ['53100', 'full'],
  ['08', 'unavailable'],
  ['25P03', 'unavailable'],
  ['53', 'unavailable'],
  ['55P03', 'unavailable'],
  ['57', 'unavailable'],
  ['58', 'unavailable'],
  ['25006', 'unavailable'],
  ['28', 'unusable'],
  ['3D', 'unusable'],
  ['42501', 'unusable'],
  ['XX001', 'unusable'],
  ['XX002', 'unusable'],
]

export function postgresFaultOf(error: unknown): Fault | undefined {
  if (error instanceof ConnectionLostError) return 'unavailable'
  const state = sqlStateOf(error)
  if (state !== undefined) return FAULTS.find(([prefix]) => state.startsWith(prefix))?.[1]
  // What the system says about the network has a code of its own.
  const isOfSystem = error instanceof Error && 'code' in error && /^E[A-Z_]+$/.test(String(error.code))
  return isOfSystem ? 'unavailable' : undefined
}
