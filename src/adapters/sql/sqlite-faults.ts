/** What the errors of SQLite say. */
import type { Fault } from './fault.ts'

const FAULTS: readonly (readonly [pattern: RegExp, fault: Fault])[] = [
  [/^SQLITE_FULL/, 'full'],
  [/^SQLITE_(CORRUPT|NOTADB|READONLY|CANTOPEN|PERM|AUTH|FORMAT)/, 'unusable'],
  [/^SQLITE_(BUSY|LOCKED|IOERR|NOMEM|INTERRUPT|PROTOCOL)/, 'unavailable'],
]

export function sqliteFaultOf(error: unknown): Fault | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return FAULTS.find(([pattern]) => pattern.test(code))?.[1]
}
