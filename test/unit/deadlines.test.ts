import { createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createDeadlines } from '../../src/runtime/deadlines.ts'
import { fc } from '../support/properties.ts'

const DAY_MS = 86_400_000
const MAX_TIMER_MS = 2 ** 31 - 1

function setup() {
  const clock = createManualClock()
  const errors: unknown[] = []
  const deadlines = createDeadlines(clock, (error) => errors.push(error))
  const due: unknown[] = []
  const note = (subject: unknown): void => void due.push(subject)
  return { clock, deadlines, errors, due, note }
}

test('moments of one duration come due in the order in which they were armed', async () => {
  const { clock, deadlines, due, note } = setup()
  for (let index = 0; index < 100; index += 1) deadlines.after(50, note, index)
  await clock.advance(49)
  expect(due).toEqual([])
  await clock.advance(1)
  expect(due).toEqual(Array.from({ length: 100 }, (_, index) => index))
})

test('a moment is never early, and late by less than a millisecond of the clock', async () => {
  const { clock, deadlines, due, note } = setup()
  deadlines.after(10.5, note, 'fraction')
  await clock.advance(10)
  expect(due).toEqual([])
  await clock.advance(1)
  expect(due).toEqual(['fraction'])
})

test('moments of many durations come due in the order of their moments', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 200 }),
      fc.array(fc.nat(199), { maxLength: 40 }),
      async (delays, disarmed) => {
        const { clock, deadlines } = setup()
        const due: { readonly index: number; readonly atMs: number }[] = []
        const moments = delays.map((delayMs, index) =>
          deadlines.after(delayMs, (subject: number) => due.push({ index: subject, atMs: clock.monotonicMs() }), index),
        )
        for (const index of disarmed) moments[index]?.disarm()
        await clock.advance(400)
        const expected = delays
          .map((delayMs, index) => ({ index, atMs: delayMs }))
          .filter(({ index }) => !disarmed.includes(index))
        const byIndex = (a: { readonly index: number }, b: { readonly index: number }): number => a.index - b.index
        expect(due.toSorted(byIndex)).toEqual(expected)
        expect(due.map(({ atMs }) => atMs)).toEqual(due.map(({ atMs }) => atMs).toSorted((a, b) => a - b))
        expect(clock.heldTimerCount()).toBe(0)
      },
    ),
    { numRuns: 50 },
  )
})

test('a thousand durations share 64 queues and one heap, so there are at most 65 timers', async () => {
  const { clock, deadlines, due, note } = setup()
  for (let delayMs = 1_000; delayMs > 0; delayMs -= 1) deadlines.after(delayMs, note, delayMs)
  expect(clock.timerCount()).toBe(65)
  await clock.advance(1_000)
  expect(due).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1))
  expect(clock.timerCount()).toBe(0)
})

test('a queue that has run empty makes room for another duration', async () => {
  const { clock, deadlines, due, note } = setup()
  for (let round = 0; round < 5; round += 1) {
    for (let index = 0; index < 64; index += 1) deadlines.after(1 + round * 64 + index, note, index)
    expect(clock.timerCount()).toBe(64)
    await clock.advance(1_000)
  }
  expect(due).toHaveLength(5 * 64)
})

test('30 days are waited for with timers no longer than a timer can be', async () => {
  const { clock, deadlines, due, note } = setup()
  const delays: number[] = []
  const watched = createDeadlines(
    { ...clock, startTimer: (delayMs, onDue) => (delays.push(delayMs), clock.startTimer(delayMs, onDue)) },
    () => undefined,
  )
  watched.after(30 * DAY_MS, note, 'month')
  await clock.advance(30 * DAY_MS - 1)
  expect(due).toEqual([])
  await clock.advance(1)
  expect(due).toEqual(['month'])
  expect(delays).toEqual([MAX_TIMER_MS, 30 * DAY_MS - MAX_TIMER_MS])
  deadlines.close()
})

test('at most 500 moments expire in one turn of the loop', async () => {
  const { clock, deadlines, due, note } = setup()
  for (let index = 0; index < 4_500; index += 1) deadlines.after(10, note, index)
  const perTimer: number[] = []
  const counting = createManualClock({
    settle: async () => void perTimer.push(due.length),
  })
  const sliced = createDeadlines(counting, () => undefined)
  for (let index = 0; index < 4_500; index += 1) sliced.after(10, note, index)
  await counting.advance(10)
  expect(perTimer.slice(0, 4)).toEqual([0, 500, 1_000, 1_500])
  await clock.advance(10)
  expect(due).toHaveLength(9_000)
})

test('a disarmed moment never comes due, and disarming again or too late does nothing', async () => {
  const { clock, deadlines, due, note } = setup()
  const early = deadlines.after(10, note, 'early')
  const kept = deadlines.after(10, note, 'kept')
  const odd = Array.from({ length: 100 }, (_, index) => deadlines.after(20 + index, note, index))
  early.disarm()
  early.disarm()
  for (const [index, moment] of odd.entries()) if (index % 2 === 1) moment.disarm()
  await clock.advance(200)
  expect(due).toEqual(['kept', ...Array.from({ length: 50 }, (_, index) => index * 2)])
  kept.disarm()
  for (const moment of odd) moment.disarm()
  expect(clock.heldTimerCount()).toBe(0)
})

test('a moment that disarms another of the same turn is obeyed', async () => {
  const { clock, deadlines, due, note } = setup()
  const victim: { disarm(): void }[] = []
  deadlines.after(10, () => victim[0]?.disarm(), undefined)
  victim.push(deadlines.after(10, note, 'victim'))
  deadlines.after(10, note, 'third')
  await clock.advance(10)
  expect(due).toEqual(['third'])
})

test('a moment armed while another comes due waits its whole time', async () => {
  const { clock, deadlines, due, note } = setup()
  let rounds = 0
  const again = (): void => {
    rounds += 1
    if (rounds < 5) deadlines.after(10, again, undefined)
    else note('done')
  }
  deadlines.after(10, again, undefined)
  await clock.advance(49)
  expect(due).toEqual([])
  await clock.advance(1)
  expect(due).toEqual(['done'])
  expect(clock.timerCount()).toBe(0)
})

test('the process is held alive exactly while a moment is armed that is not idle', async () => {
  const { clock, deadlines, note } = setup()
  expect(clock.heldTimerCount()).toBe(0)
  deadlines.idleAfter(10, note, 'idle')
  expect([clock.timerCount(), clock.heldTimerCount()]).toEqual([1, 0])
  const first = deadlines.after(10, note, 'first')
  const second = deadlines.after(10, note, 'second')
  expect(clock.heldTimerCount()).toBe(1)
  first.disarm()
  expect(clock.heldTimerCount()).toBe(1)
  second.disarm()
  expect(clock.heldTimerCount()).toBe(0)
  const other = deadlines.after(10, note, 'other')
  deadlines.idleAfter(500, note, 'idle')
  await clock.advance(10)
  other.disarm()
  expect([clock.timerCount(), clock.heldTimerCount()]).toEqual([1, 0])
})

test('a timer that is armed again for a longer wait is held as the first one was', async () => {
  const { clock, deadlines, note } = setup()
  deadlines.after(60 * DAY_MS, note, 'long')
  await clock.advance(30 * DAY_MS)
  expect(clock.heldTimerCount()).toBe(1)
  await clock.advance(30 * DAY_MS)
  expect(clock.heldTimerCount()).toBe(0)
})

test('a callback that throws is reported once and the others still come due', async () => {
  const { clock, deadlines, due, errors, note } = setup()
  const error = new Error('broken')
  deadlines.after(10, note, 1)
  deadlines.after(
    10,
    () => {
      throw error
    },
    undefined,
  )
  deadlines.after(10, note, 2)
  deadlines.after(20, note, 3)
  await clock.advance(20)
  expect(due).toEqual([1, 2, 3])
  expect(errors).toEqual([error])
  expect(clock.heldTimerCount()).toBe(0)
})

test('a jump of the wall clock, back or ahead, moves no moment', async () => {
  const { clock, deadlines, due, note } = setup()
  deadlines.after(1_000, note, 'moment')
  clock.jump(-DAY_MS)
  await clock.advance(999)
  clock.jump(2 * DAY_MS)
  await clock.advance(0)
  expect(due).toEqual([])
  await clock.advance(1)
  expect(due).toEqual(['moment'])
})

test('after close nothing is armed, nothing comes due and nothing new is taken', async () => {
  const { clock, deadlines, due, note } = setup()
  const moments = Array.from({ length: 100 }, (_, index) => deadlines.after(1 + index, note, index))
  deadlines.close()
  expect(clock.timerCount()).toBe(0)
  const late = deadlines.after(5, note, 'late')
  for (const moment of [...moments, late]) moment.disarm()
  await clock.advance(1_000)
  expect(due).toEqual([])
  expect(clock.timerCount()).toBe(0)
})

test('close reaches a duration whose queue ran empty while it was in use', async () => {
  const { clock, deadlines, due, note } = setup()
  // While the first comes due another of its duration is armed and taken back: the queue is empty, its timer is not.
  deadlines.after(100, () => deadlines.after(100, note, 'taken back').disarm(), undefined)
  await clock.advance(150)
  deadlines.after(100, note, 'next')
  await clock.advance(60)
  deadlines.after(100, note, 'after that')
  deadlines.close()
  expect(clock.timerCount()).toBe(0)
  await clock.advance(1_000)
  expect(due).toEqual([])
})
