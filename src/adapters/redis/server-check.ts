/** What a server is asked when it is met for the first time, and what its host should know about the answers. */
import { isTaskError, messageOf } from '../../errors.ts'
import type { Durability } from '../../ports/task-record.ts'
import type { RedisCall } from './connection.ts'
import { refused } from './redis-errors.ts'

/** Scripts need the commands and the replication of this version. */
const MIN_VERSION = [6, 2] as const

export interface ServerFacts {
  readonly durability: Durability
  readonly warnings: readonly string[]
}

const fieldOf = (info: string, field: string): string | undefined =>
  info
    .split('\n')
    .find((line) => line.startsWith(`${field}:`))
    ?.slice(field.length + 1)
    .trim()

/** @throws {TaskError} `store_unusable` when the server is too old. */
export async function checkServer(call: RedisCall): Promise<ServerFacts> {
  const warnings: string[] = []
  const version = fieldOf(await readOrNothing(call, 'INFO', ['server']), 'redis_version')
  if (version === undefined) warnings.push('The version of Redis could not be checked; 6.2 or newer is needed.')
  else {
    const [major = 0, minor = 0] = version.split('.').map(Number)
    const isOld = major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1])
    if (isOld) throw refused(`Redis ${version} is too old: redisStore needs ${MIN_VERSION.join('.')} or newer.`)
  }

  const settings = await readSettings(call)
  const policy = settings.get('maxmemory-policy')
  const appendOnly = settings.get('appendonly')
  const snapshots = settings.get('save')
  if (policy === undefined) {
    warnings.push('Whether Redis may evict keys could not be checked; maxmemory-policy has to be noeviction.')
  } else if (policy !== 'noeviction') {
    warnings.push(`Redis may drop tasks when its memory is full: maxmemory-policy is ${policy}, not noeviction.`)
  }
  if (appendOnly === undefined || snapshots === undefined) {
    warnings.push('Whether Redis keeps anything on disk could not be checked; appendonly should be yes.')
    return { durability: 'process', warnings }
  }
  if (appendOnly === 'yes') {
    return { durability: settings.get('appendfsync') === 'always' ? 'power' : 'process', warnings }
  }
  if (snapshots === '') {
    warnings.push('Redis keeps nothing on disk: tasks are lost when it stops. Set appendonly to yes.')
    return { durability: 'memory', warnings }
  }
  warnings.push('Redis keeps snapshots only: tasks since the last one are lost when it crashes. Set appendonly to yes.')
  return { durability: 'process', warnings }
}

/** Nothing, when the server does not let us ask. */
async function readOrNothing(call: RedisCall, command: string, args: readonly string[]): Promise<string> {
  try {
    return String(await call(command, args))
  } catch (error) {
    if (isTaskError(error, 'store_unusable') || /unknown command/i.test(messageOf(error))) return ''
    throw error
  }
}

async function readSettings(call: RedisCall): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const name of ['maxmemory-policy', 'appendonly', 'appendfsync', 'save']) {
    // A flat list of the name and the value, which may be empty.
    const reply = await readOrNothing(call, 'CONFIG', ['GET', name])
    if (reply.startsWith(`${name},`)) found.set(name, reply.slice(name.length + 1))
  }
  return found
}
