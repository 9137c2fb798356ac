/**
 * Scripts for several processes: who lives, and what they tell each other. The clock is that of the server.
 *
 * `nodes` holds the living, at the moment until which they live; `dead` the others, at the moment of their death.
 */
import { createScript } from './script.ts'

const NOW = `
local base, call = ARGV[1], redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** ARGV: base, node, lease in ms. */
export const JOIN_SCRIPT = createScript(`${NOW}
call('ZREM', base .. 'dead', ARGV[2])
call('ZADD', base .. 'nodes', now + ARGV[3], ARGV[2])
return 1
`)

/**
 * ARGV: base, node, lease in ms. Reply: whether the node lives. What begins with a removal is carried out when there is no
 * memory left, too: nobody shall be taken for dead because of that.
 */
export const RENEW_SCRIPT = createScript(`${NOW}
if call('ZREM', base .. 'nodes', ARGV[2]) == 0 then return 0 end
call('ZADD', base .. 'nodes', now + ARGV[3], ARGV[2])
return 1
`)

/** ARGV: base, node. */
export const LEAVE_SCRIPT = createScript(`${NOW}
if call('ZREM', base .. 'nodes', ARGV[2]) == 1 then call('ZADD', base .. 'dead', now, ARGV[2]) end
return 1
`)

const DROP_ORDER = `
local function dropOrder(id)
  local node = call('HGET', base .. 'order:' .. id, 'node')
  if node then call('ZREM', base .. 'ordersFor:' .. node, id) end
  call('UNLINK', base .. 'order:' .. id)
  call('ZREM', base .. 'orderTimes', id)
end
`

/** ARGV: base, how long orders are kept in ms. Reply: dead nodes with their moments, the first to die first. */
export const SWEEP_SCRIPT = createScript(`${NOW}${DROP_ORDER}
local lapsed = call('ZRANGEBYSCORE', base .. 'nodes', '-inf', now, 'WITHSCORES')
for n = 1, #lapsed, 2 do
  call('ZADD', base .. 'dead', lapsed[n + 1], lapsed[n])
  call('ZREM', base .. 'nodes', lapsed[n])
end
local old = call('ZRANGEBYSCORE', base .. 'orderTimes', '-inf', '(' .. (now - ARGV[2]), 'LIMIT', 0, 1000)
for _, id in ipairs(old) do dropOrder(id) end
return call('ZRANGE', base .. 'dead', 0, -1, 'WITHSCORES')
`)

/** ARGV: base, node. Reply: whether the node is gone. */
export const FORGET_SCRIPT = createScript(`${NOW}${DROP_ORDER}
local node = ARGV[2]
if call('ZSCORE', base .. 'nodes', node) then return 0 end
if call('ZSCORE', base .. 'dead', node) then
  if call('ZCARD', base .. 'nodeOf:' .. node) > 0 then return 0 end
  for _, id in ipairs(call('ZRANGE', base .. 'ordersFor:' .. node, 0, -1)) do dropOrder(id) end
  call('ZREM', base .. 'dead', node)
end
return 1
`)

/**
 * ARGV: base, order, node, from, JSON, sent at, TTL in ms, channel, hint. An order keeps its place when it is sent again, and
 * one that has its reply is not read any more.
 */
export const SEND_ORDER_SCRIPT = createScript(`${NOW}
local id, node, order = ARGV[2], ARGV[3], ARGV[1] .. 'order:' .. ARGV[2]
local known = call('HMGET', order, 'node', 'number', 'reply')
local number = known[2] or call('HINCRBY', base .. 'counters', 'orders', 1)
if known[1] and known[1] ~= node then call('ZREM', base .. 'ordersFor:' .. known[1], id) end
call('HSET', order, 'node', node, 'from', ARGV[4], 'json', ARGV[5], 'number', number)
call('PEXPIRE', order, ARGV[7])
call('ZADD', base .. 'orderTimes', ARGV[6], id)
if not known[3] then
  call('ZADD', base .. 'ordersFor:' .. node, number, id)
  redis.pcall('PUBLISH', ARGV[8], ARGV[9])
end
return 1
`)

/** ARGV: base, node, limit. Reply: JSON of each order. */
export const READ_ORDERS_SCRIPT = createScript(`
local base, orders, found = ARGV[1], ARGV[1] .. 'ordersFor:' .. ARGV[2], {}
for _, id in ipairs(redis.call('ZRANGE', orders, 0, ARGV[3] - 1)) do
  local json = redis.call('HGET', base .. 'order:' .. id, 'json')
  if json then found[#found + 1] = json else redis.call('ZREM', orders, id) end
end
return found
`)

/** ARGV: base, order, JSON, channel. Reply: whether there is such an order that had no reply. */
export const REPLY_SCRIPT = createScript(`
local order = ARGV[1] .. 'order:' .. ARGV[2]
local known = redis.call('HMGET', order, 'node', 'from')
if not known[1] or redis.call('HSETNX', order, 'reply', ARGV[3]) == 0 then return 0 end
redis.call('ZREM', ARGV[1] .. 'ordersFor:' .. known[1], ARGV[2])
redis.pcall('PUBLISH', ARGV[4], cjson.encode({node = cjson.decode('"' .. known[2] .. '"')}))
return 1
`)
