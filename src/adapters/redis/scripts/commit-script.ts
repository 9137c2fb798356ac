/**
 * Writes a group of commits, each judged by itself; later ones see what earlier ones have changed.
 *
 * 1. What a commit is judged by is read before anything of it is written, and the first write is one that Redis refuses
 *    when it is out of memory. So a commit is written whole or not at all, as long as nobody else writes these keys.
 * 2. One commit that cannot be written, because a key of its task is not what it should be, fails alone.
 * 3. No JSON is parsed on the way, but for the claims of a task that has any.
 * 4. Positions come from counters that are read once and written once for a group.
 *
 * ARGV: base, incarnation, TTL of what has ended in ms, channel, hint, number of commits; then for each commit the fields
 * and lists that `commit-arguments.ts` puts there, in the order in which they are read here.
 *
 * Reply: `{'reset'}` when the log is another one by now, else for each commit `{'committed', owner position, position}`,
 * `{'stale'}`, `{'claimed', number of the claim, task}` or `{'failed', message}`.
 */
import { createScript } from './script.ts'

export const COMMIT_SCRIPT = createScript(`
local base, incarnation, ttl, channel, hint = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local call, safely = redis.call, redis.pcall
if call('GET', KEYS[1]) ~= incarnation then return {'reset'} end

-- How many arguments a commit begins with.
local HEAD = 21
local FINAL = {completed = true, failed = true, cancelled = true}

local counters = call('HMGET', base .. 'counters', 'position', 'place', 'finishedBytes')
local position = tonumber(counters[1] or 0)
local place = tonumber(counters[2] or 0)
local finishedBytes = tonumber(counters[3] or 0)
local ownerLast, counts, alive = {}, {}, {}
local written, told = false, false

local function lastOf(owner)
  local last = ownerLast[owner]
  if not last then
    last = tonumber(call('HGET', base .. 'last', owner) or 0)
    ownerLast[owner] = last
  end
  return last
end

local function count(owner, status, by)
  for _, key in ipairs({base .. 'counts', base .. 'countsOf:' .. owner}) do
    local changes = counts[key]
    if not changes then
      changes = {}
      counts[key] = changes
    end
    changes[status] = (changes[status] or 0) + by
  end
end

local function isAlive(node)
  if alive[node] == nil then alive[node] = call('ZSCORE', base .. 'nodes', node) ~= false end
  return alive[node]
end

-- A claim of a task that has expired is free.
local function holderOf(claim)
  local holder = call('HGET', base .. 'claims', claim)
  if holder and call('EXISTS', base .. 'task:' .. holder) == 0 then return false end
  return holder
end

local function takeClaims(id, first, last)
  local held = call('HGET', base .. 'claimsOf', id)
  local list = held and cjson.decode(held) or {}
  for index = first, last do
    call('HSET', base .. 'claims', ARGV[index], id)
    list[#list + 1] = ARGV[index]
  end
  call('HSET', base .. 'claimsOf', id, cjson.encode(list))
end

local function freeClaims(id)
  local held = call('HGET', base .. 'claimsOf', id)
  if not held then return end
  local kept = {}
  for _, claim in ipairs(cjson.decode(held)) do
    if string.sub(claim, 1, 7) == 'dedupe:' then kept[#kept + 1] = claim
    elseif call('HGET', base .. 'claims', claim) == id then call('HDEL', base .. 'claims', claim) end
  end
  if #kept == 0 then call('HDEL', base .. 'claimsOf', id)
  else call('HSET', base .. 'claimsOf', id, cjson.encode(kept)) end
end

-- Drops the fresh events from one number to another, and their places in the feeds.
local function trim(id, owner, from, to)
  local events = base .. 'events:' .. id
  local ids, ofOwner, ofAll = {}, {}, {}
  for _, entry in ipairs(call('XRANGE', events, from .. '-0', to .. '-0')) do
    local fields = entry[2]
    if fields[7] == 'f' then
      ids[#ids + 1] = entry[1]
      ofOwner[#ofOwner + 1] = fields[4] .. '-0'
      ofAll[#ofAll + 1] = fields[6] .. '-0'
    end
  end
  for first = 1, #ids, 1000 do
    local last = math.min(first + 999, #ids)
    call('XDEL', events, unpack(ids, first, last))
    call('XDEL', base .. 'feedOf:' .. owner, unpack(ofOwner, first, last))
    call('XDEL', base .. 'feed', unpack(ofAll, first, last))
  end
end

local at

local function apply(id, owner, commitId, expectVersion, expectEpoch, version, epoch, status, node, json, endedAt, bytes,
  tombstone, trimTo, events, outbox, claims, attachments, fields, indexes)
  local eventsAt = at + HEAD
  local outboxAt = eventsAt + events * 3
  local claimsAt = outboxAt + outbox * 2
  local attachmentsAt = claimsAt + claims
  local fieldsAt = attachmentsAt + attachments * 2
  local indexesAt = fieldsAt + fields * 2
  local task = base .. 'task:' .. id
  local known = safely('HMGET', task, 'version', 'epoch', 'commit', 'status', 'node', 'ownerPosition', 'position',
    'place', 'trimmed')
  if known.err then return {'stale'} end
  if known[3] == commitId then return {'committed', known[6], known[7]} end
  if (known[1] or '0') ~= expectVersion then return {'stale'} end
  if known[2] and tonumber(known[2]) > tonumber(expectEpoch) then return {'stale'} end
  local wasFinal, isFinal = FINAL[known[4]], FINAL[status]
  if node ~= '' and not wasFinal and not isAlive(node) then return {'stale'} end
  for n = 1, tonumber(claims) do
    local holder = holderOf(ARGV[claimsAt + n - 1])
    if holder and holder ~= id then return {'claimed', n, holder} end
  end

  local isNew = not known[1]
  local last = lastOf(owner)
  local firstOfOwner, first = last + 1, position + 1
  local myPlace = known[8]
  if isNew then myPlace = place + 1 end
  call('HSET', task, 'json', json, 'version', version, 'epoch', epoch, 'commit', commitId,
    'status', status, 'node', node, 'ownerPosition', firstOfOwner, 'position', first)
  written = true

  if isNew then
    place = myPlace
    call('HSET', task, 'place', place, 'owner', owner, unpack(ARGV, fieldsAt, indexesAt - 1))
    call('ZADD', base .. 'tasks', place, id)
    call('ZADD', base .. 'tasksOf:' .. owner, place, id)
    for index = indexesAt, indexesAt + indexes - 1 do
      call('ZADD', base .. ARGV[index], place, id)
    end
    count(owner, status, 1)
  elseif known[4] ~= status then
    count(owner, known[4], -1)
    count(owner, status, 1)
  end

  if isFinal then
    if not wasFinal then
      if not isNew then
        call('ZREM', base .. 'live', id)
        call('ZREM', base .. 'liveOf:' .. owner, id)
        if known[5] ~= '' then call('ZREM', base .. 'nodeOf:' .. known[5], id) end
      end
      call('ZADD', base .. 'finished', endedAt, id)
      call('HSET', base .. 'ended', id, tombstone)
      finishedBytes = finishedBytes + tonumber(bytes)
    end
  else
    if isNew then
      call('ZADD', base .. 'live', place, id)
      call('ZADD', base .. 'liveOf:' .. owner, place, id)
    end
    local before = known[5] or ''
    if before ~= node then
      if before ~= '' then call('ZREM', base .. 'nodeOf:' .. before, id) end
      if node ~= '' then call('ZADD', base .. 'nodeOf:' .. node, myPlace, id) end
    end
  end

  if claims ~= '0' then takeClaims(id, claimsAt, attachmentsAt - 1) end
  if isFinal and not wasFinal and not (isNew and claims == '0') then freeClaims(id) end

  local log, feedOf, feed = base .. 'events:' .. id, base .. 'feedOf:' .. owner, base .. 'feed'
  for index = eventsAt, outboxAt - 3, 3 do
    local seq, data, fresh = ARGV[index], ARGV[index + 1], ARGV[index + 2]
    local added
    if fresh == '1' then added = safely('XADD', log, seq .. '-0', 'e', data, 'o', last + 1, 'g', position + 1, 'f', '1')
    else added = safely('XADD', log, seq .. '-0', 'e', data, 'o', last + 1, 'g', position + 1) end
    -- A number that is there already is not written twice.
    if type(added) ~= 'table' or not added.err then
      last, position = last + 1, position + 1
      call('XADD', feedOf, last .. '-0', 't', id, 's', seq, 'g', position)
      call('XADD', feed, position .. '-0', 't', id, 's', seq)
      told = true
    end
  end
  ownerLast[owner] = last

  local trimmed = tonumber(known[9] or 0)
  if tonumber(trimTo) > trimmed then
    trim(id, owner, trimmed + 1, trimTo)
    call('HSET', task, 'trimmed', trimTo)
  end
  for index = outboxAt, claimsAt - 2, 2 do
    local box = base .. 'outbox:' .. id
    call('HSET', box, ARGV[index], call('HLEN', box) .. ' ' .. ARGV[index + 1])
  end
  for index = attachmentsAt, fieldsAt - 2, 2 do
    call('HSET', task, 'attached:' .. ARGV[index], ARGV[index + 1])
  end
  if isFinal then
    call('PEXPIRE', task, ttl)
    call('PEXPIRE', log, ttl)
    if wasFinal or outbox ~= '0' or not isNew then call('PEXPIRE', base .. 'outbox:' .. id, ttl) end
  end
  return {'committed', firstOfOwner, first}
end

local replies = {}
at = 7
for n = 1, tonumber(ARGV[6]) do
  local ok, reply = pcall(apply, unpack(ARGV, at, at + HEAD - 1))
  if not ok then reply = {'failed', type(reply) == 'table' and reply.err or tostring(reply)} end
  replies[n] = reply
  at = at + HEAD + ARGV[at + HEAD - 1]
end

if written then
  call('HSET', base .. 'counters', 'position', position, 'place', place, 'finishedBytes', finishedBytes)
  for owner, last in pairs(ownerLast) do call('HSET', base .. 'last', owner, last) end
  for key, changes in pairs(counts) do
    for status, by in pairs(changes) do if by ~= 0 then call('HINCRBY', key, status, by) end end
  end
end
-- Hints may be lost, so one that may not be sent is no reason to fail.
if told then safely('PUBLISH', channel, hint) end
return replies
`)
