/** Scripts that read: pages of a list and of a feed. What has expired is taken out of the index that still names it. */
import { createScript } from './script.ts'

/**
 * Looks through one index in the order of creation, at no more tasks than `looks` in a call, so that a rare match does not
 * hold up the server.
 *
 * ARGV: base, index, place to go on after, limit, looks, bytes, task that stands in for an index that is not there or
 * nothing, number of statuses, statuses, pairs of field and value.
 *
 * Reply: the place to go on after when there may be more, else nothing; then task, place and JSON of each match.
 */
export const LIST_SCRIPT = createScript(`
local base, index, after, limit = ARGV[1], ARGV[1] .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local looks, bytes, standIn = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local statuses, statusCount = {}, tonumber(ARGV[8])
for n = 9, 8 + statusCount do statuses[ARGV[n]] = true end
local names, values = {'status', 'json'}, {}
for n = 9 + statusCount, #ARGV, 2 do
  names[#names + 1] = ARGV[n]
  values[#values + 1] = ARGV[n + 1]
end

local tasks
if standIn ~= '' and redis.call('EXISTS', index) == 0 then
  local place = redis.pcall('HGET', base .. 'task:' .. standIn, 'place')
  tasks = {}
  if type(place) == 'string' and tonumber(place) > tonumber(after) then tasks = {standIn, place} end
else
  tasks = redis.call('ZRANGEBYSCORE', index, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, looks)
end

local found, matches = {''}, 0
for n = 1, #tasks, 2 do
  local id, place = tasks[n], tasks[n + 1]
  local fields = redis.pcall('HMGET', base .. 'task:' .. id, unpack(names))
  if fields.err then
    found[#found + 1] = id
    found[#found + 1] = place
    found[#found + 1] = ''
  elseif not fields[1] then
    if redis.call('EXISTS', base .. 'task:' .. id) == 0 then redis.call('ZREM', index, id) end
  else
    local isMatch = statusCount == 0 or statuses[fields[1]]
    for m = 1, #values do if fields[m + 2] ~= values[m] then isMatch = false end end
    if isMatch then
      found[#found + 1] = id
      found[#found + 1] = place
      found[#found + 1] = fields[2] or ''
      matches = matches + 1
      bytes = bytes - #(fields[2] or '')
    end
  end
  if matches >= limit or bytes < 0 then
    found[1] = place
    return found
  end
end
if #tasks == looks * 2 then found[1] = tasks[#tasks] end
return found
`)

/**
 * An entry of a feed stands for the events of one commit, or for lines of one delivery, at the place of the first. What of it
 * was trimmed is left out; one of which nothing is left, goes.
 *
 * ARGV: base, owner or nothing, place to go on after, limit, bytes.
 *
 * Reply: up to which place the page goes, whether the feed ended there, tasks and their JSON, then for each event the number
 * of its task in that list, its own number, its JSON and its places with the owner and overall; then JSON of deliveries. The
 * line of a delivery has a number in that list, behind a \`#\`, instead of JSON.
 */
export const FEED_SCRIPT = createScript(`
local base, owner, after, limit, bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local feed, last
if owner == '' then
  feed = base .. 'feed'
  last = redis.call('HGET', base .. 'counters', 'position')
else
  feed = base .. 'feedOf:' .. owner
  last = redis.call('HGET', base .. 'last', owner)
end

-- The place to go on after may be in the middle of an entry.
local first = redis.call('XREVRANGE', feed, string.format('%.0f-0', after), '-', 'COUNT', 1)[1]
local from = first and first[1] or string.format('%.0f-0', after + 1)
local entries = redis.call('XRANGE', feed, from, '+', 'COUNT', limit + 2)
local tasks, events, deliveries, numbers, texts = {}, {}, {}, {}, {}
local upTo, isLast, count = tonumber(last or 0), #entries < limit + 2 and 1 or 0, 0
if isLast == 0 then upTo = after end

local function numberOf(id)
  if numbers[id] == nil then
    local json = redis.pcall('HGET', base .. 'task:' .. id, 'json')
    numbers[id] = false
    if type(json) == 'string' then
      tasks[#tasks + 1] = id
      tasks[#tasks + 1] = json
      numbers[id] = tostring(#tasks / 2)
      bytes = bytes - #json
    end
  end
  return numbers[id]
end

-- Lines of a delivery as the events of a task are kept: number, text and the places of the first.
local function linesOf(id, delivery, seq, n, ofOwner, ofAll)
  local name = delivery .. '\\n' .. id
  if texts[name] == nil then
    local kept = redis.pcall('HGET', base .. 'outbox:' .. id, delivery)
    texts[name] = false
    if type(kept) == 'string' then
      deliveries[#deliveries + 1] = string.match(kept, '^[^\\n]*\\n(.*)$')
      texts[name] = '#' .. #deliveries
      bytes = bytes - #kept
    end
  end
  local lines = {}
  if texts[name] then
    for at = seq, seq + n - 1 do lines[#lines + 1] = {at .. '-0', {'e', texts[name], 'o', ofOwner, 'g', ofAll, 's', seq}} end
  end
  return lines
end

for _, entry in ipairs(entries) do
  local fields = entry[2]
  local place, id, seq, n = tonumber(string.match(entry[1], '^%d+')), fields[2], fields[4], fields[6]
  local kept
  if fields[#fields - 1] ~= 'd' then kept = redis.pcall('XRANGE', base .. 'events:' .. id, seq .. '-0', (seq + n - 1) .. '-0')
  elseif owner == '' then kept = linesOf(id, fields[#fields], seq, n, fields[8], place)
  else kept = linesOf(id, fields[#fields], seq, n, place, fields[8]) end
  if #kept == 0 and not kept.err then
    redis.call('XDEL', feed, entry[1])
    -- The feed of an owner is how the other one is found.
    if owner ~= '' then redis.call('XDEL', base .. 'feed', fields[8] .. '-0') end
  end
  for _, event in ipairs(kept) do
    local own, ownSeq = event[2], string.match(event[1], '^%d+')
    local offset = ownSeq - own[8]
    local number = place + offset > after and numberOf(id)
    if number then
      if count == limit or bytes < 0 then return {tostring(upTo), 0, tasks, events, deliveries} end
      upTo = place + offset
      count = count + 1
      bytes = bytes - #own[2]
      for _, value in ipairs({number, ownSeq, own[2], tostring(own[4] + offset), tostring(own[6] + offset)}) do
        events[#events + 1] = value
      end
    end
  end
  if isLast == 0 and place + n - 1 > after then upTo = place + n - 1 end
end
if isLast == 1 then upTo = tonumber(last or 0) end
return {tostring(upTo), isLast, tasks, events, deliveries}
`)
