import type { TaskMessage } from 'outlive'
import { expect, test } from 'vitest'
import { createCounters } from '../../src/runtime/counters.ts'
import { createOwnerDesks } from '../../src/runtime/messages/owner-desks.ts'

const MIB = 1024 * 1024
const LIMITS = { maxMessages: 1_000, maxBytes: 64 * MIB }

const letter = (messageId: string): TaskMessage => ({
  kind: 'message',
  messageId,
  from: { kind: 'task', taskId: 't' },
  at: 0,
  payload: messageId,
})

const dead = (messageId: string) => ({
  messageId,
  taskId: 't',
  from: { kind: 'owner' } as const,
  at: 0,
  payload: messageId,
  bouncedAt: 0,
})

function setupDesks(limits = LIMITS) {
  const counters = createCounters()
  return { counters, desks: createOwnerDesks({ limits, counters }) }
}

test('a desk is made when it is needed, and is the same for all who ask', () => {
  const { desks } = setupDesks()
  expect(desks.find('ann')).toBeUndefined()
  const desk = desks.require('ann')
  expect(desks.require('ann')).toBe(desk)
  expect(desks.find('ann')).toBe(desk)
})

test('letters are taken in their order, and make room', () => {
  const { desks } = setupDesks({ maxMessages: 2, maxBytes: 10 })
  expect([
    desks.put('ann', letter('a'), 6),
    desks.put('ann', letter('b'), 4),
    desks.put('ann', letter('c'), 0),
  ]).toEqual([true, true, false])
  const desk = desks.require('ann')
  expect(desks.takeLetter(desk)).toMatchObject({ messageId: 'a' })
  expect(desks.put('ann', letter('c'), 7)).toBe(false)
  expect(desks.put('ann', letter('c'), 6)).toBe(true)
  expect([desks.takeLetter(desk), desks.takeLetter(desk), desks.takeLetter(desk)]).toMatchObject([
    { messageId: 'b' },
    { messageId: 'c' },
    undefined,
  ])
})

test('dead letters are bounded by number and by bytes, the oldest go', () => {
  const { desks, counters } = setupDesks({ maxMessages: 3, maxBytes: 10 })
  for (const id of ['a', 'b', 'c', 'd']) desks.bury('ann', dead(id), 1)
  const ids = (): string[] => desks.require('ann').dead.items.map(({ item }) => item.messageId)
  expect(ids()).toEqual(['b', 'c', 'd'])
  desks.bury('ann', dead('e'), 9)
  expect(ids()).toEqual(['d', 'e'])
  expect(counters.droppedMessages).toBe(3)
})

test('beyond 10 000 desks the one used longest ago goes, and what it held is counted', () => {
  const { desks, counters } = setupDesks()
  desks.put('first', letter('a'), 1)
  desks.bury('first', dead('b'), 1)
  desks.require('second')
  for (let n = 0; n < 9_998; n += 1) desks.require(`owner ${n}`)
  desks.require('second')
  expect(desks.find('first')).toBeDefined()
  desks.require('one more')
  expect(desks.find('first')).toBeUndefined()
  expect(desks.find('second')).toBeDefined()
  expect(counters.droppedMessages).toBe(2)
})

test('beyond 64 MiB in all the one used longest ago goes, but none where somebody reads', () => {
  const { desks, counters } = setupDesks()
  desks.put('read', letter('a'), 30 * MIB)
  desks.require('read').isAttended = true
  desks.put('idle', letter('b'), 30 * MIB)
  desks.put('last', letter('c'), 30 * MIB)
  expect([desks.find('read'), desks.find('idle'), desks.find('last')].map((desk) => desk !== undefined)).toEqual([
    true,
    false,
    true,
  ])
  expect(counters.droppedMessages).toBe(1)
  // What has gone weighs nothing any more.
  desks.put('last', letter('d'), 4 * MIB)
  expect(desks.find('last')?.letters.items).toHaveLength(2)
})
