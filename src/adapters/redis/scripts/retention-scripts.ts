/** Scripts that drop what has ended, and the one that settles a delivery. */
import { createScript } from './script.ts'

/** ARGV: base, number of tasks. Reply: how many have ended, the bytes of their results, then task, end and tombstone. */
export const OLDEST_SCRIPT = createScript(`
local base = ARGV[1]
local finished = redis.call('ZRANGE', base .. 'finished', 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
local found = {
  redis.call('ZCARD', base .. 'finished'),
  tonumber(redis.call('HGET', base .. 'counters', 'finishedBytes') or 0)
}
for n = 1, #finished, 2 do
  found[#found + 1] = finished[n]
  found[#found + 1] = finished[n + 1]
  found[#found + 1] = redis.call('HGET', base .. 'ended', finished[n]) or ''
end
return found
`)

/**
 * Drops ended tasks with all that is kept of them. The tombstone of a task says where it stands, also when its record has
 * expired. Reply: how many were there.
 *
 * ARGV: base, tasks.
 */
export const EVICT_SCRIPT = createScript(`
local base, call = ARGV[1], redis.call

local function dropAll(key, ids)
  for first = 1, #ids, 1000 do call('XDEL', key, unpack(ids, first, math.min(first + 999, #ids))) end
end

-- Where the events of expired tasks stand is known to the feed of their owner alone.
local function sweepFeed(owner, expired)
  local feedOf, from = base .. 'feedOf:' .. owner, '-'
  while true do
    local entries = call('XRANGE', feedOf, from, '+', 'COUNT', 1000)
    local ofOwner, ofAll = {}, {}
    for _, entry in ipairs(entries) do
      if expired[entry[2][2]] then
        ofOwner[#ofOwner + 1] = entry[1]
        ofAll[#ofAll + 1] = entry[2][8] .. '-0'
      end
    end
    dropAll(feedOf, ofOwner)
    dropAll(base .. 'feed', ofAll)
    if #entries < 1000 then return end
    from = '(' .. entries[#entries][1]
  end
end

-- Tasks that had no delivery, or whose deliveries have expired: then what is pending of them is found by looking.
local silent = {}
local evicted, owners = 0, {}
for n = 2, #ARGV do
  local id = ARGV[n]
  local tombstone = call('HGET', base .. 'ended', id)
  call('ZREM', base .. 'finished', id)
  if tombstone then
    local told = cjson.decode(tombstone)
    local owner, status = told[1], told[2]
    owners[owner] = owners[owner] or {}
    local events = redis.pcall('XRANGE', base .. 'events:' .. id, '-', '+')
    if events.err or #events == 0 then
      owners[owner][id] = true
      owners[owner][1] = true
    else
      local ofOwner, ofAll = {}, {}
      for _, entry in ipairs(events) do
        local place = entry[2][4] .. '-0'
        -- Events of one commit share an entry.
        if ofOwner[#ofOwner] ~= place then
          ofOwner[#ofOwner + 1] = place
          ofAll[#ofAll + 1] = entry[2][6] .. '-0'
        end
      end
      dropAll(base .. 'feedOf:' .. owner, ofOwner)
      dropAll(base .. 'feed', ofAll)
    end
    local held = call('HGET', base .. 'claimsOf', id)
    if held then
      for _, claim in ipairs(cjson.decode(held)) do
        if call('HGET', base .. 'claims', claim) == id then call('HDEL', base .. 'claims', claim) end
      end
      call('HDEL', base .. 'claimsOf', id)
    end
    call('ZREM', base .. 'tasks', id)
    call('ZREM', base .. 'tasksOf:' .. owner, id)
    for index = 4, #told do call('ZREM', base .. told[index], id) end
    local deliveries = call('HKEYS', base .. 'outbox:' .. id)
    for _, delivery in ipairs(deliveries) do call('ZREM', base .. 'pending', delivery .. ' ' .. id) end
    if #deliveries == 0 then silent[id] = true end
    call('UNLINK', base .. 'task:' .. id, base .. 'events:' .. id, base .. 'outbox:' .. id)
    call('HDEL', base .. 'ended', id)
    call('HINCRBY', base .. 'counters', 'finishedBytes', 0 - told[3])
    call('HINCRBY', base .. 'counts', status, -1)
    call('HINCRBY', base .. 'countsOf:' .. owner, status, -1)
    evicted = evicted + 1
  end
end
for _, member in ipairs(call('ZRANGE', base .. 'pending', 0, -1)) do
  if silent[string.match(member, ' (%S+)$')] then call('ZREM', base .. 'pending', member) end
end
for owner, expired in pairs(owners) do
  if expired[1] then sweepFeed(owner, expired) end
  if call('XLEN', base .. 'feedOf:' .. owner) == 0 then call('DEL', base .. 'feedOf:' .. owner) end
  if call('ZCARD', base .. 'tasksOf:' .. owner) == 0 then call('DEL', base .. 'countsOf:' .. owner) end
end
if call('XLEN', base .. 'feed') == 0 then call('DEL', base .. 'feed') end
return evicted
`)

/** ARGV: base, task, delivery, JSON, whether it still has no outcome. */
export const SETTLE_SCRIPT = createScript(`
local outbox, pending = ARGV[1] .. 'outbox:' .. ARGV[2], ARGV[1] .. 'pending'
local known = redis.call('HGET', outbox, ARGV[3])
if ARGV[5] == '0' or not known then redis.call('ZREM', pending, ARGV[3] .. ' ' .. ARGV[2]) end
if not known then return 0 end
if ARGV[5] == '1' then redis.call('ZADD', pending, 0, ARGV[3] .. ' ' .. ARGV[2]) end
redis.call('HSET', outbox, ARGV[3], string.match(known, '^%d+') .. ' ' .. ARGV[4])
return 1
`)

/**
 * Deliveries without an outcome. One whose task has expired is taken out on the way.
 *
 * ARGV: base, delivery to go on after or nothing, limit. Reply: JSON of each.
 */
export const PENDING_SCRIPT = createScript(`
local base, call = ARGV[1], redis.call
local from = ARGV[2] == '' and '-' or '(' .. ARGV[2] .. ' \\255'
local found = {}
while #found < tonumber(ARGV[3]) do
  local members = call('ZRANGEBYLEX', base .. 'pending', from, '+', 'LIMIT', 0, ARGV[3])
  for _, member in ipairs(members) do
    local delivery, task = string.match(member, '^(%S+) (%S+)$')
    local kept = call('HGET', base .. 'outbox:' .. task, delivery)
    if kept and #found < tonumber(ARGV[3]) then found[#found + 1] = string.match(kept, '^%d+ (.*)$')
    elseif not kept then call('ZREM', base .. 'pending', member) end
  end
  if #members < tonumber(ARGV[3]) then break end
  from = '(' .. members[#members]
end
return found
`)
