/** Scripts that drop what has ended. */
import { DELIVERY_FUNCTIONS } from './delivery-scripts.ts'
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
 * Drops ended tasks with all that is kept of them, but for one that owes a delivery by now. The tombstone of a task says where
 * it stands, also when its record has expired. Reply: how many were there.
 *
 * ARGV: base, tasks.
 */
export const EVICT_SCRIPT = createScript(`
local base, call = ARGV[1], redis.call
${DELIVERY_FUNCTIONS}
local function dropAll(key, ids)
  for first = 1, #ids, 1000 do call('XDEL', key, unpack(ids, first, math.min(first + 999, #ids))) end
end

-- Where the events and lines of expired tasks stand is known to the feed of their owner alone.
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

local evicted, owners = 0, {}
for n = 2, #ARGV do
  local id = ARGV[n]
  local tombstone = call('HGET', base .. 'ended', id)
  if call('ZREM', base .. 'finished', id) == 1 and tombstone then
    local told = cjson.decode(tombstone)
    local owner, status = told[1], told[2]
    owners[owner] = owners[owner] or {}
    local ofOwner, ofAll, isExpired = {}, {}, false
    local events = redis.pcall('XRANGE', base .. 'events:' .. id, '-', '+')
    if events.err or #events == 0 then isExpired = true
    else
      for _, entry in ipairs(events) do
        local place = entry[2][4] .. '-0'
        -- Events of one commit share an entry.
        if ofOwner[#ofOwner] ~= place then
          ofOwner[#ofOwner + 1] = place
          ofAll[#ofAll + 1] = entry[2][6] .. '-0'
        end
      end
    end
    for delivery in string.gmatch(call('HGET', base .. 'deliveriesOf', id) or '', '[^\\n]+') do
      local kept = deliveryOf(id, delivery)
      for _, state in ipairs({'pending', 'deadLettered'}) do setOpen('ZREM', state, owner, id, delivery) end
      if not kept then isExpired = true end
      for own, place in string.gmatch(kept and kept.places or '', '(%d+):(%d+)') do
        ofOwner[#ofOwner + 1] = own .. '-0'
        ofAll[#ofAll + 1] = place .. '-0'
      end
    end
    call('HDEL', base .. 'deliveriesOf', id)
    dropAll(base .. 'feedOf:' .. owner, ofOwner)
    dropAll(base .. 'feed', ofAll)
    if isExpired then
      owners[owner][id] = true
      owners[owner][1] = true
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
    for index = 5, #told do call('ZREM', base .. told[index], id) end
    call('UNLINK', base .. 'task:' .. id, base .. 'events:' .. id, base .. 'outbox:' .. id)
    call('HDEL', base .. 'ended', id)
    call('HINCRBY', base .. 'counters', 'finishedBytes', 0 - told[3])
    call('HINCRBY', base .. 'counts', status, -1)
    call('HINCRBY', base .. 'countsOf:' .. owner, status, -1)
    evicted = evicted + 1
  end
end
for owner, expired in pairs(owners) do
  if expired[1] then sweepFeed(owner, expired) end
  if call('XLEN', base .. 'feedOf:' .. owner) == 0 then call('DEL', base .. 'feedOf:' .. owner) end
  if call('ZCARD', base .. 'tasksOf:' .. owner) == 0 then call('DEL', base .. 'countsOf:' .. owner) end
end
if call('XLEN', base .. 'feed') == 0 then call('DEL', base .. 'feed') end
return evicted
`)
