import { createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createLanes, type LaneJob, type LaneVerdict } from '../../src/delivery/lanes.ts'
import { createDeadlines } from '../../src/runtime/deadlines.ts'

const UP: LaneVerdict = { kind: 'done', target: 'up' }

function setupLanes(maxSending = 100) {
  const clock = createManualClock()
  const deadlines = createDeadlines(clock, (error) => {
    throw error
  })
  const lanes = createLanes({
    clock,
    deadlines,
    maxSending,
    pause: { baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: 'none' },
  })
  const ran: string[] = []
  const endings = new Map<string, (verdict: LaneVerdict) => void>()
  const job = (name: string, given: Partial<LaneJob> = {}): LaneJob => ({
    owner: 'ann',
    notBeforeMs: 0,
    isOver: () => false,
    run() {
      ran.push(name)
      return new Promise((resolve) => endings.set(name, resolve))
    },
    ...given,
  })
  return {
    clock,
    lanes,
    ran,
    job,
    async end(name: string, verdict: LaneVerdict = UP): Promise<void> {
      endings.get(name)?.(verdict)
      await clock.advance(0)
    },
  }
}

test('one job runs at a target, the others after it, in their order', async () => {
  const { lanes, job, ran, end } = setupLanes()
  for (const name of ['a', 'b', 'c']) lanes.add('1', job(name))
  lanes.add('2', job('other'))
  expect(ran).toEqual(['a', 'other'])
  await end('a')
  await end('b')
  expect(ran).toEqual(['a', 'other', 'b', 'c'])
})

test('owners take turns, however much one of them wants to send', async () => {
  const { lanes, job, ran, end } = setupLanes(1)
  for (let count = 0; count < 10; count += 1) lanes.add(`a${count}`, job(`ann ${count}`))
  lanes.add('b', job('bob', { owner: 'bob' }))
  for (const name of ['ann 0', 'ann 1', 'bob']) await end(name)
  expect(ran).toEqual(['ann 0', 'ann 1', 'bob', 'ann 2'])
})

test('a job that is over before its turn is left out, and what waits for a moment does', async () => {
  const { lanes, job, ran, end, clock } = setupLanes()
  let isOver = false
  lanes.add('1', job('a'))
  lanes.add('1', job('b', { isOver: () => isOver }))
  lanes.add('1', job('c', { notBeforeMs: clock.monotonicMs() + 500 }))
  isOver = true
  await end('a')
  expect(ran).toEqual(['a'])
  await clock.advance(499)
  expect(ran).toEqual(['a'])
  await clock.advance(1)
  expect(ran).toEqual(['a', 'c'])
})

test('whoever waits for idle is told when nothing runs or could, and after a stop', async () => {
  const { lanes, job, end } = setupLanes()
  const told: string[] = []
  lanes.add('1', job('a'))
  void lanes.whenIdle().then(() => told.push('idle'))
  await end('a', { kind: 'later', delayMs: 1_000, target: 'down' })
  expect(told).toEqual(['idle'])
  await lanes.whenIdle()
  lanes.add('2', job('b'))
  void lanes.whenIdle().then(() => told.push('stopped'))
  expect(lanes.stop()).toBe(2)
  await Promise.resolve()
  expect(told).toEqual(['idle', 'stopped'])
})

test('after a stop nothing runs that waits, and what comes runs once', async () => {
  const { lanes, job, ran, end, clock } = setupLanes()
  lanes.add('1', job('a'))
  lanes.add('1', job('b'))
  lanes.stop()
  await end('a')
  lanes.add('1', job('c'))
  await end('c', { kind: 'later', delayMs: 1, target: 'down' })
  await clock.advance(100_000)
  expect(ran).toEqual(['a', 'c'])
})

test('ten thousand jobs of one target cost no other target its turn', async () => {
  const { lanes, job, ran, end } = setupLanes(2)
  for (let count = 0; count < 10_000; count += 1) lanes.add('1', job(`slow ${count}`))
  lanes.add('2', job('quick'))
  expect(ran).toEqual(['slow 0', 'quick'])
  for (let count = 0; count < 200; count += 1) await end(`slow ${count}`)
  expect(ran.slice(2)).toEqual(Array.from({ length: 200 }, (_, index) => `slow ${index + 1}`))
})
