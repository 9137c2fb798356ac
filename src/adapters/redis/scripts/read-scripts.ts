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
 * ARGV: base, owner or nothing, place to go on after, limit, bytes.
 *
 * Reply: up to which place the page goes, whether the feed ended there, tasks and their JSON, then for each event the number
 * of its task in that list, its own number, its JSON and its places with the owner and overall.
 */
export const FEED_SCRIPT = createScript(`
local base, owner, after, limit, bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local feed, last
if owner == '' then
  feed = base .. 'feed'
  last = redis.call('HGET', base .. 'counters', 'position')
else
  feed = base .. 'feedOf:' .. owner
  last = redis.call('HGET', base .. 'last', owner)
end

local places = redis.call('XRANGE', feed, string.format('%.0f-0', after + 1), '+', 'COUNT', limit + 1)
local tasks, events, numbers = {}, {}, {}
local upTo, isLast = last or '0', 1
for n, entry in ipairs(places) do
  if n > limit or bytes < 0 then
    upTo, isLast = string.match(places[n - 1][1], '^%d+'), 0
    break
  end
  local id, seq = entry[2][2], entry[2][4]
  local event = redis.pcall('XRANGE', base .. 'events:' .. id, seq .. '-0', seq .. '-0')
  local found = event[1]
  if numbers[id] == nil then
    local json = found and redis.pcall('HGET', base .. 'task:' .. id, 'json')
    numbers[id] = false
    if type(json) == 'string' then
      tasks[#tasks + 1] = id
      tasks[#tasks + 1] = json
      numbers[id] = #tasks / 2
      bytes = bytes - #json
    end
  end
  if not found and not event.err then redis.call('XDEL', feed, entry[1]) end
  if found and numbers[id] then
    local fields = found[2]
    for _, value in ipairs({tostring(numbers[id]), seq, fields[2], fields[4], fields[6]}) do events[#events + 1] = value end
    bytes = bytes - #fields[2]
  end
end
return {upTo, isLast, tasks, events}
`)
