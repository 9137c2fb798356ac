/**
 * Writes a group of commits, each judged by itself; later ones see what earlier ones have changed.
 *
 * 1. What a commit is judged by is read before anything of it is written, and the first write is one that Redis refuses
 *    when it is out of memory. So a commit is written whole or not at all, as long as nobody else writes these keys.
 * 2. One commit that cannot be written, because a key of its task is not what it should be, fails alone.
 * 3. No JSON is parsed on the way, but for the claims of a task that has any, and for one that owes a delivery after its end.
 * 4. What many commits change, counters and indexes, is written once for the group, at its end.
 *
 * The events of a commit are one entry of each feed, at the place of the first of them: its task, the number of that event,
 * and how many there are. Each event says where that entry is. The lines of each delivery that begins are another entry.
 *
 * ARGV: base, incarnation, TTL of what has ended in ms, channel, hint, number of commits, and their parts as
 * `commit-arguments.ts` puts them together. The head of a commit has a line for each of the first parameters of `apply`, and
 * the number of parts that the commit takes.
 *
 * Reply: `{'reset'}` when the log is another one by now, else for each commit `{'committed', owner position, position}`,
 * `{'stale'}`, `{'claimed', number of the claim, task}` or `{'failed', message}`.
 */
import { SEPARATOR } from '../commit-arguments.ts'
import { DELIVERY_FUNCTIONS } from './delivery-scripts.ts'
import { createScript } from './script.ts'

export const COMMIT_SCRIPT = createScript(`
local base, incarnation, ttl, channel, hint = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local call, safely = redis.call, redis.pcall
if call('GET', KEYS[1]) ~= incarnation then return {'reset'} end

local HEAD = '^' .. string.rep('([^\\n]*)\\n', 19) .. '(%d+)$'
local FINAL = {completed = true, failed = true, cancelled = true}
local TASK, EVENTS, OUTBOX = base .. 'task:', base .. 'events:', base .. 'outbox:'
local FEED, FEED_OF, CLAIMS, CLAIMS_OF = base .. 'feed', base .. 'feedOf:', base .. 'claims', base .. 'claimsOf'
${DELIVERY_FUNCTIONS}

local counters = call('HMGET', base .. 'counters', 'position', 'place', 'finishedBytes')
local position = tonumber(counters[1] or 0)
local place = tonumber(counters[2] or 0)
local finishedBytes = tonumber(counters[3] or 0)
local written, told = false, false
local match, at, size = string.match

local args = {}
do
  local text, find, sub = ARGV[7], string.find, string.sub
  local from, n = 1, 0
  local till = find(text, '${SEPARATOR}', from, true)
  while till do
    n = n + 1
    args[n] = sub(text, from, till - 1)
    from = till + 1
    till = find(text, '${SEPARATOR}', from, true)
  end
end

-- What is written at the end: the score of each member of an index, or false where it has to go; changes of counts; tombstones.
local indexes, counts, ended, ownerLast, alive = {}, {}, {}, {}, {}

local function index(name, id, score)
  local members = indexes[name]
  if members then members[id] = score else indexes[name] = {[id] = score} end
end

local function countIn(key, status, by)
  local changes = counts[key]
  if changes then changes[status] = (changes[status] or 0) + by else counts[key] = {[status] = by} end
end

local function count(owner, status, by)
  countIn('counts', status, by)
  countIn('countsOf:' .. owner, status, by)
end

local function bytesOf(id)
  return cjson.decode(ended[id] or call('HGET', base .. 'ended', id))[3]
end

local function lastOf(owner)
  local last = ownerLast[owner]
  if not last then
    last = tonumber(call('HGET', base .. 'last', owner) or 0)
    ownerLast[owner] = last
  end
  return last
end

local function isAlive(node)
  if alive[node] == nil then alive[node] = call('ZSCORE', base .. 'nodes', node) ~= false end
  return alive[node]
end

-- A claim of a task that has expired is free.
local function holderOf(claim)
  local holder = call('HGET', CLAIMS, claim)
  if holder and call('EXISTS', TASK .. holder) == 0 then return false end
  return holder
end

local function takeClaims(id, first, last)
  local held = call('HGET', CLAIMS_OF, id)
  local list = held and cjson.decode(held) or {}
  for n = first, last do
    call('HSET', CLAIMS, args[n], id)
    list[#list + 1] = args[n]
  end
  call('HSET', CLAIMS_OF, id, cjson.encode(list))
end

local function freeClaims(id)
  local held = call('HGET', CLAIMS_OF, id)
  if not held then return end
  local kept = {}
  for _, claim in ipairs(cjson.decode(held)) do
    if string.sub(claim, 1, 7) == 'dedupe:' then kept[#kept + 1] = claim
    elseif call('HGET', CLAIMS, claim) == id then call('HDEL', CLAIMS, claim) end
  end
  if #kept == 0 then call('HDEL', CLAIMS_OF, id) else call('HSET', CLAIMS_OF, id, cjson.encode(kept)) end
end

local function dropEntries(key, ids)
  for first = 1, #ids, 1000 do call('XDEL', key, unpack(ids, first, math.min(first + 999, #ids))) end
end

-- Drops the fresh events from one number to another; with the last event of an entry of the feeds, that entry.
local function trim(id, owner, from, to)
  local ids, ofOwner, ofAll = {}, {}, {}
  for _, entry in ipairs(call('XRANGE', EVENTS .. id, from .. '-0', to .. '-0')) do
    local fields = entry[2]
    local fresh = fields[10]
    if fresh then ids[#ids + 1] = entry[1] end
    if fresh == 'last' then
      ofOwner[#ofOwner + 1] = fields[4] .. '-0'
      ofAll[#ofAll + 1] = fields[6] .. '-0'
    end
  end
  dropEntries(EVENTS .. id, ids)
  dropEntries(FEED_OF .. owner, ofOwner)
  dropEntries(FEED, ofAll)
end

local function apply(id, owner, commitId, expectVersion, expectEpoch, version, epoch, status, node, endedAt, bytes,
  trimTo, marks, eventCount, outboxCount, claimCount, attachmentCount, fieldCount, indexCount, partCount)
  size = partCount
  local task = TASK .. id
  local known = {}
  if expectVersion ~= '0' or call('EXISTS', task) == 1 then
    known = safely('HMGET', task, 'version', 'epoch', 'commit', 'status', 'node', 'ownerPosition', 'position', 'place',
      'trimmed', 'has', 'owed')
    if known.err then return {'stale'} end
  end
  if known[3] == commitId then return {'committed', known[6], known[7]} end
  if (known[1] or '0') ~= expectVersion then return {'stale'} end
  if known[2] and tonumber(known[2]) > tonumber(expectEpoch) then return {'stale'} end
  local wasFinal, isFinal = FINAL[known[4]], FINAL[status]
  if node ~= '' and not wasFinal and not isAlive(node) then return {'stale'} end

  local json = args[at + 1]
  local eventsAt = at + (isFinal and 3 or 2)
  local outboxAt = eventsAt + eventCount
  local claimsAt = outboxAt + outboxCount * 5
  local attachmentsAt = claimsAt + claimCount
  local fieldsAt = attachmentsAt + attachmentCount * 2
  local indexesAt = fieldsAt + fieldCount * 2
  for n = claimsAt, attachmentsAt - 1 do
    local holder = holderOf(args[n])
    if holder and holder ~= id then return {'claimed', n - claimsAt + 1, holder} end
  end

  local isNew = not known[1]
  local last = lastOf(owner)
  -- Numbers become text once.
  local ofOwner, ofAll = (last + 1) .. '', (position + 1) .. ''
  local myPlace = known[8]
  -- Whether there are claims and an outbox beside the record, so that others need not be looked for.
  local has = known[10] or ''
  if claimCount ~= '0' and not string.find(has, 'c') then has = has .. 'c' end
  if outboxCount ~= '0' and not string.find(has, 'o') then has = has .. 'o' end
  if isNew then
    myPlace = place + 1
    call('HSET', task, 'json', json, 'version', version, 'epoch', epoch, 'commit', commitId, 'status', status, 'node', node,
      'ownerPosition', ofOwner, 'position', ofAll, 'has', has, 'place', myPlace, 'owner', owner,
      unpack(args, fieldsAt, indexesAt - 1))
    place = myPlace
    index('tasks', id, place)
    index('tasksOf:' .. owner, id, place)
    for n = indexesAt, indexesAt + indexCount - 1 do index(args[n], id, place) end
    count(owner, status, 1)
    if not isFinal then index('liveOf:' .. owner, id, place) end
  else
    call('HSET', task, 'json', json, 'version', version, 'commit', commitId, 'status', status, 'ownerPosition', ofOwner,
      'position', ofAll)
    if epoch ~= known[2] or node ~= known[5] or has ~= known[10] then
      call('HSET', task, 'epoch', epoch, 'node', node, 'has', has)
    end
    if known[4] ~= status then
      count(owner, known[4], -1)
      count(owner, status, 1)
    end
  end
  written = true

  local before, now = known[5] or '', isFinal and '' or node
  if before ~= now then
    if before ~= '' then index('nodeOf:' .. before, id, false) end
    if now ~= '' then index('nodeOf:' .. now, id, myPlace) end
  end
  if claimCount ~= '0' then takeClaims(id, claimsAt, attachmentsAt - 1) end
  if isFinal and not wasFinal then
    if not isNew then index('liveOf:' .. owner, id, false) end
    ended[id] = args[at + 2]
    if string.find(has, 'c') then freeClaims(id) end
  end

  local log, added, first, n = EVENTS .. id, 0, string.match(marks, '^%d*'), eventsAt
  for seq, fresh in string.gmatch(marks, '(%d+)(%a*),') do
    local done
    if fresh == '' then done = safely('XADD', log, seq .. '-0', 'e', args[n], 'o', ofOwner, 'g', ofAll, 's', first)
    else done = safely('XADD', log, seq .. '-0', 'e', args[n], 'o', ofOwner, 'g', ofAll, 's', first, 'f', fresh) end
    -- A number that is there already is not written twice.
    if type(done) ~= 'table' or not done.err then added = added + 1 end
    n = n + 1
  end
  if added > 0 then
    call('XADD', FEED_OF .. owner, ofOwner .. '-0', 't', id, 's', first, 'n', eventCount, 'g', ofAll)
    call('XADD', FEED, ofAll .. '-0', 't', id, 's', first, 'n', eventCount)
    ownerLast[owner] = last + eventCount
    position = position + eventCount
    told = true
  end

  local trimmed = tonumber(known[9] or 0)
  if tonumber(trimTo) > trimmed then
    trim(id, owner, trimmed + 1, trimTo)
    call('HSET', task, 'trimmed', trimTo)
  end
  local owed = tonumber(known[11] or 0)
  local owes = owed
  if outboxCount ~= '0' then
    for n = outboxAt, claimsAt - 5, 5 do
      local added = keepDelivery(id, owner, args[n], nil, '1', args[n + 1], tonumber(args[n + 2]), args[n + 3], args[n + 4],
        lastOf(owner), position)
      if added > 0 then
        ownerLast[owner] = lastOf(owner) + added
        position = position + added
        told = true
      end
      if args[n + 1] == 'pending' then owes = owes + 1 end
    end
    call('HSET', task, 'owed', owes)
  end
  for n = attachmentsAt, fieldsAt - 2, 2 do call('HSET', task, 'attached:' .. args[n], args[n + 1]) end
  if isFinal and owes == 0 then
    if not wasFinal then
      index('finished', id, endedAt)
      finishedBytes = finishedBytes + bytes
    end
    call('PEXPIRE', task, ttl)
    call('PEXPIRE', log, ttl)
    if string.find(has, 'o') then call('PEXPIRE', OUTBOX .. id, ttl) end
  elseif wasFinal and owed == 0 then
    index('finished', id, false)
    finishedBytes = finishedBytes - bytesOf(id)
    call('PERSIST', task)
    call('PERSIST', log)
    call('PERSIST', OUTBOX .. id)
  end
  return {'committed', ofOwner, ofAll}
end

local replies = {}
at = 1
for n = 1, tonumber(ARGV[6]) do
  local ok, reply = pcall(apply, match(args[at], HEAD))
  if not ok then
    local message = type(reply) == 'table' and reply.err or tostring(reply)
    -- A server that takes no writes says so for the whole group, as long as nothing of it is written.
    if not written and not string.find(message, 'WRONGTYPE') then return {err = message} end
    reply = {'failed', message}
  end
  replies[n] = reply
  at = at + size
end

if written then
  call('HSET', base .. 'counters', 'position', position, 'place', place, 'finishedBytes', finishedBytes)
  local lasts = {}
  for owner, last in pairs(ownerLast) do
    lasts[#lasts + 1] = owner
    lasts[#lasts + 1] = last
  end
  call('HSET', base .. 'last', unpack(lasts))
  local tombstones = {}
  for id, tombstone in pairs(ended) do
    tombstones[#tombstones + 1] = id
    tombstones[#tombstones + 1] = tombstone
  end
  if #tombstones > 0 then call('HSET', base .. 'ended', unpack(tombstones)) end
  for name, members in pairs(indexes) do
    local adds, removes = {}, {}
    for id, score in pairs(members) do
      if score then
        adds[#adds + 1] = score
        adds[#adds + 1] = id
      else
        removes[#removes + 1] = id
      end
    end
    if #adds > 0 then call('ZADD', base .. name, unpack(adds)) end
    if #removes > 0 then call('ZREM', base .. name, unpack(removes)) end
  end
  for name, changes in pairs(counts) do
    for status, by in pairs(changes) do if by ~= 0 then call('HINCRBY', base .. name, status, by) end end
  end
end
-- Hints may be lost, so one that may not be sent is no reason to fail.
if told then safely('PUBLISH', channel, hint) end
return replies
`)
