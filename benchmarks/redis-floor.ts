/**
 * One script for a group of commits that makes the writes of the store's own and judges nothing: each value comes ready as an
 * argument, and indexes are written once for the group.
 */
import { Redis } from 'ioredis'
import { isFinalStatus, type Commit } from 'outlive'
import type { Floor } from './store-place.ts'

const TTL_MS = 90_000_000

/**
 * ARGV: base, owner, whether the tasks are new, number of commits, position before the first, channel, hint, arguments a
 * commit; then each commit: task, JSON, version, epoch, commit, status, sequence number, event, end, tombstone.
 */
const SCRIPT = `
local base, owner, isNew, count, position = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5])
local call, each = redis.call, tonumber(ARGV[8])
local places, ids, ended, finished = {}, {}, {}, {}
local at = 9
for n = 1, count do
  local id, json, version, epoch, commit, status, seq, event, endedAt, tombstone = unpack(ARGV, at, at + each - 1)
  position = position + 1
  local place = position .. ''
  local task, log = base .. 'task:' .. id, base .. 'events:' .. id
  if isNew then
    call('HSET', task, 'json', json, 'version', version, 'epoch', epoch, 'commit', commit, 'status', status, 'node', '',
      'ownerPosition', place, 'position', place, 'has', '', 'place', place, 'owner', owner, 'tool', 'search_papers', 'root', id)
    places[#places + 1] = place
    places[#places + 1] = id
  else
    call('HSET', task, 'json', json, 'version', version, 'epoch', epoch, 'commit', commit, 'status', status, 'node', '',
      'ownerPosition', place, 'position', place, 'has', '')
    ids[#ids + 1] = id
    ended[#ended + 1] = id
    ended[#ended + 1] = tombstone
    finished[#finished + 1] = endedAt
    finished[#finished + 1] = id
  end
  call('XADD', log, seq .. '-0', 'e', event, 'o', place, 'g', place, 's', seq)
  call('XADD', base .. 'feedOf:' .. owner, place .. '-0', 't', id, 's', seq, 'n', '1', 'g', place)
  call('XADD', base .. 'feed', place .. '-0', 't', id, 's', seq, 'n', '1')
  if not isNew then
    call('PEXPIRE', task, ${TTL_MS})
    call('PEXPIRE', log, ${TTL_MS})
  end
  at = at + each
end
if isNew then
  call('ZADD', base .. 'tasks', unpack(places))
  call('ZADD', base .. 'tasksOf:' .. owner, unpack(places))
  call('ZADD', base .. 'liveOf:' .. owner, unpack(places))
else
  call('ZREM', base .. 'liveOf:' .. owner, unpack(ids))
  call('ZADD', base .. 'finished', unpack(finished))
  call('HSET', base .. 'ended', unpack(ended))
end
call('HSET', base .. 'counters', 'position', position, 'place', position, 'finishedBytes', 0)
call('HSET', base .. 'last', owner, position)
call('HINCRBY', base .. 'counts', isNew and 'running' or 'completed', count)
call('HINCRBY', base .. 'countsOf:' .. owner, isNew and 'running' or 'completed', count)
call('PUBLISH', ARGV[6], ARGV[7])
return position
`

export async function openRedisFloor(port: number, name: string): Promise<Floor> {
  const redis = new Redis({ port })
  const sha = String(await redis.script('LOAD', SCRIPT))
  const base = `{${name}}:`
  let position = 0

  return {
    prepare(commits) {
      const owner = commits[0]?.record.owner ?? ''
      const isNew = commits[0]?.record.version === 1
      const each = commits.map(toArguments)
      const head = [
        base,
        owner,
        isNew ? 1 : 0,
        commits.length,
        position,
        `${base}hints`,
        JSON.stringify({ owners: [owner] }),
      ]
      position += commits.length
      return [...head, each[0]?.length ?? 0, ...each.flat()]
    },
    write: async (prepared) => void (await redis.evalsha(sha, 0, ...(prepared as (string | number)[]))),
    count: async () => ({ tasks: await redis.zcard(`${base}tasks`), events: await redis.xlen(`${base}feed`) }),
    close: async () => void (await redis.quit()),
  }
}

function toArguments({ id, record, events: [event] }: Commit): (string | number)[] {
  if (event === undefined) throw new Error('each commit of a benchmark has an event')
  const { seq, ...told } = event
  const { taskId, owner, version, epoch, status, endedAt = 0, resultBytes = 0 } = record
  const tombstone = isFinalStatus(status) ? JSON.stringify([owner, status, resultBytes]) : ''
  return [taskId, JSON.stringify(record), version, epoch, id, status, seq, JSON.stringify(told), endedAt, tombstone]
}
