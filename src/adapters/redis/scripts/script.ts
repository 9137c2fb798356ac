/** A Lua script, and how it is called. */
import { createHash } from 'node:crypto'
import type { RedisCall } from '../connection.ts'
import type { KeySpace } from '../keys.ts'
import { isScriptUnknown } from '../redis-errors.ts'

export interface Script {
  readonly lua: string
  readonly sha1: string
}

export function createScript(lua: string): Script {
  return { lua, sha1: createHash('sha1').update(lua).digest('hex') }
}

/**
 * Runs a script. It gets one key, which leads a Cluster to the slot that has all others too, and `ARGV[1]`, what all keys
 * begin with. A server that does not know the script, after a restart or a failover, gets its text.
 */
export async function runScript(
  call: RedisCall,
  keys: KeySpace,
  script: Script,
  args: readonly (string | number)[],
): Promise<unknown> {
  const given = [1, keys.incarnation, keys.base, ...args]
  try {
    return await call('EVALSHA', [script.sha1, ...given])
  } catch (error) {
    if (!isScriptUnknown(error)) throw error
    return call('EVAL', [script.lua, ...given])
  }
}
