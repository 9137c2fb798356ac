/**
 * Scripts that keep deliveries and list them.
 *
 * `outbox:` of a task has a text for each of its deliveries: a line of facts, and below it the JSON of the entry. Its lines in the
 * feeds are not copied: an entry of a feed names the delivery, the first of these lines and how many there are.
 * `deliveriesOf` has the names of all deliveries of a task, also when what is kept of them has expired. `open:` and `openOf:`
 * are the indexes of deliveries that are pending or dead letters, in the order of their texts.
 *
 * A task that owes a delivery does not expire, and is not among those that have finished until it owes nothing.
 */
import { createScript } from './script.ts'

/** What scripts do with deliveries that have `base` and `call`. */
export const DELIVERY_FUNCTIONS = `
-- The facts: place among those of its task, version, state, lines, the places of the last change, all places, node.
local FACTS = '^(%d+) (%d+) (%S+) (%d+) (%d+) (%d+) (%S+) ([^\\n]*)\\n'

local function deliveryOf(id, delivery)
  local kept = call('HGET', base .. 'outbox:' .. id, delivery)
  if not kept then return nil end
  local order, version, state, lines, ofOwner, ofAll, places, node = string.match(kept, FACTS)
  return {order = order, version = version, state = state, lines = tonumber(lines), ofOwner = ofOwner, ofAll = ofAll,
    places = places, node = node}
end

local function setOpen(command, state, owner, id, delivery)
  if state ~= 'pending' and state ~= 'deadLettered' then return end
  for _, key in ipairs({base .. 'open:' .. state, base .. 'openOf:' .. state .. ':' .. owner}) do
    if command == 'ZADD' then call('ZADD', key, 0, delivery .. '\\n' .. id) else call('ZREM', key, delivery .. '\\n' .. id) end
  end
end

-- Keeps a delivery, with its new lines after the last places of the feeds, and says how many lines these are.
local function keepDelivery(id, owner, delivery, known, version, state, lines, node, json, last, position)
  local before = known and known.lines or 0
  local added = math.max(0, lines - before)
  local ofOwner, ofAll = (last + 1) .. '', (position + 1) .. ''
  local places = known and known.places or '-'
  if added > 0 then places = places .. ofOwner .. ':' .. ofAll .. ',' end
  local order = known and known.order or call('HLEN', base .. 'outbox:' .. id) .. ''
  local facts = {order, version, state, lines, ofOwner, ofAll, places, node}
  call('HSET', base .. 'outbox:' .. id, delivery, table.concat(facts, ' ') .. '\\n' .. json)
  if not known then
    local names = call('HGET', base .. 'deliveriesOf', id)
    call('HSET', base .. 'deliveriesOf', id, (names and names .. '\\n' or '') .. delivery)
  end
  if not known or known.state ~= state then
    if known then setOpen('ZREM', known.state, owner, id, delivery) end
    setOpen('ZADD', state, owner, id, delivery)
  end
  if added > 0 then
    call('XADD', base .. 'feedOf:' .. owner, ofOwner .. '-0', 't', id, 's', before + 1, 'n', added, 'g', ofAll, 'd', delivery)
    call('XADD', base .. 'feed', ofAll .. '-0', 't', id, 's', before + 1, 'n', added, 'o', ofOwner, 'd', delivery)
  end
  return added
end
`

/**
 * Keeps a delivery in its next version. What begins with reading writes first what Redis refuses when it is out of memory, so it
 * is carried out whole or not at all.
 *
 * ARGV: base, TTL of what has ended in ms, channel, hint, task, delivery, version, node or nothing, state, number of lines, JSON.
 * Reply: `{'put', owner position, position}` or `{'stale'}`.
 */
export const PUT_DELIVERY_SCRIPT = createScript(`
local base, call = ARGV[1], redis.call
local ttl, id, delivery, version, node, state = ARGV[2], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
${DELIVERY_FUNCTIONS}
local task = base .. 'task:' .. id
local found = redis.pcall('HMGET', task, 'owner', 'status', 'owed', 'has')
if found.err or not found[1] then return {'stale'} end
local known = deliveryOf(id, delivery)
if known and known.version == version and known.node == node then return {'put', known.ofOwner, known.ofAll} end
if (known and tonumber(known.version) or 0) ~= version - 1 then return {'stale'} end

local owner, status, owed, has = found[1], found[2], tonumber(found[3] or 0), found[4] or ''
local last = tonumber(call('HGET', base .. 'last', owner) or 0)
local position = tonumber(call('HGET', base .. 'counters', 'position') or 0)
local added = keepDelivery(id, owner, delivery, known, version, state, tonumber(ARGV[10]), node, ARGV[11], last, position)
if added > 0 then
  call('HSET', base .. 'last', owner, last + added)
  call('HSET', base .. 'counters', 'position', position + added)
end

local owes = owed
if known and known.state == 'pending' then owes = owes - 1 end
if state == 'pending' then owes = owes + 1 end
if not string.find(has, 'o') then has = has .. 'o' end
call('HSET', task, 'owed', owes, 'has', has)
if status == 'completed' or status == 'failed' or status == 'cancelled' then
  if (owed == 0) ~= (owes == 0) then
    local tombstone = cjson.decode(call('HGET', base .. 'ended', id))
    if owes == 0 then
      call('ZADD', base .. 'finished', tombstone[4], id)
      call('HINCRBY', base .. 'counters', 'finishedBytes', tombstone[3])
    else
      call('ZREM', base .. 'finished', id)
      call('HINCRBY', base .. 'counters', 'finishedBytes', 0 - tombstone[3])
    end
  end
  for _, key in ipairs({task, base .. 'events:' .. id, base .. 'outbox:' .. id}) do
    if owes == 0 then call('PEXPIRE', key, ttl) else call('PERSIST', key) end
  end
end
if added > 0 then redis.pcall('PUBLISH', ARGV[3], ARGV[4]) end
return {'put', (last + 1) .. '', (position + 1) .. ''}
`)

/**
 * Deliveries of one index. One whose task has expired is taken out on the way.
 *
 * ARGV: base, index, delivery to go on after or nothing, limit. Reply: JSON of each.
 */
export const LIST_DELIVERIES_SCRIPT = createScript(`
local base, call, index, limit = ARGV[1], redis.call, ARGV[1] .. ARGV[2], tonumber(ARGV[4])
local from = ARGV[3] == '' and '-' or '(' .. ARGV[3] .. '\\n\\255'
local found = {}
while #found < limit do
  local members = call('ZRANGEBYLEX', index, from, '+', 'LIMIT', 0, limit)
  for _, member in ipairs(members) do
    local delivery, task = string.match(member, '^([^\\n]*)\\n(.*)$')
    local kept = call('HGET', base .. 'outbox:' .. task, delivery)
    if not kept then call('ZREM', index, member)
    elseif #found < limit then found[#found + 1] = string.match(kept, '^[^\\n]*\\n(.*)$') end
  end
  if #members < limit then break end
  from = '(' .. members[#members]
end
return found
`)
