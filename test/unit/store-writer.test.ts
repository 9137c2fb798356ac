import type { Awaitable, Commit, CommitReply, TaskStore } from 'outlive'
import { createManualClock, type ManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createDeadlines } from '../../src/runtime/deadlines.ts'
import { createCounters } from '../../src/runtime/counters.ts'
import { createStoreWriter, type StoreWriter } from '../../src/runtime/journal/store-writer.ts'
import { seededRandom } from '../support/setup.ts'

const DONE: CommitReply = { kind: 'committed', ownerPosition: 1, position: 1 }

interface Bench {
  readonly writer: StoreWriter
  readonly clock: ManualClock
  /** The ids of the commits as they reached the store. */
  readonly sent: string[]
  /** The ids of the commits as they were answered. */
  readonly answered: string[]
  readonly logged: string[]
  /** Attempts that failed. */
  errors(): number
  pauses(): number
  write(id: string): void
}

function bench(answer: (id: string, attempt: number) => Awaitable<CommitReply>, random01 = (): number => 0.999): Bench {
  const clock = createManualClock()
  const sent: string[] = []
  const answered: string[] = []
  const logged: string[] = []
  const counters = createCounters()
  let pauses = 0
  const commit = (change: Commit): Awaitable<CommitReply> => {
    sent.push(change.id)
    return answer(change.id, sent.filter((id) => id === change.id).length)
  }
  const writer = createStoreWriter({
    store: { commit } as unknown as TaskStore,
    deadlines: createDeadlines(clock, (error) => {
      throw error
    }),
    logger: { warn: () => undefined, error: (fields) => void logged.push(String(fields['taskId'])) },
    counters,
    commitWaitMs: 2_000,
    maxUnsavedBytes: 10_000,
    random01,
    onPause: () => void (pauses += 1),
  })
  const write = (id: string): void =>
    writer.write({
      commit: { id, record: { taskId: id }, events: [], attachments: [] } as unknown as Commit,
      onReply: () => void answered.push(id),
    })
  return { writer, clock, sent, answered, logged, errors: () => counters.storeErrors, pauses: () => pauses, write }
}

const down = (): Promise<CommitReply> => Promise.reject(new Error('down'))

test('a store that answers at once is answered from at once, and no timer stays', () => {
  const { write, answered, writer, clock } = bench(() => DONE)
  write('a')
  expect(answered).toEqual(['a'])
  expect([writer.isPaused(), writer.unansweredCount(), clock.timerCount()]).toEqual([false, 0, 0])
})

test('while the store only answers late, commits go to it as they come', async () => {
  const settle: (() => void)[] = []
  const { write, sent, answered, writer, clock } = bench(
    () => new Promise((resolve) => settle.push(() => resolve(DONE))),
  )
  for (const id of ['a', 'b', 'c']) write(id)
  expect(sent).toEqual(['a', 'b', 'c'])
  settle[2]?.()
  settle[0]?.()
  await clock.advance(0)
  expect(answered.toSorted()).toEqual(['a', 'c'])
  expect([writer.isPaused(), writer.unansweredCount()]).toEqual([false, 1])
})

test('a failure pauses the writer once; what comes meanwhile waits in line and is written in its order', async () => {
  let isDown = true
  const { write, sent, answered, writer, clock, pauses, logged } = bench(() => (isDown ? down() : DONE))
  write('a')
  await clock.advance(0)
  for (const id of ['b', 'c', 'd']) write(id)
  await clock.advance(20_000)
  // In case the store has something against the first alone, others are tried as well after a while, in their order.
  expect(sent.slice(0, 3)).toEqual(['a', 'a', 'a'])
  expect([...new Set(sent)]).toEqual(['a', 'b', 'c', 'd'])
  expect([writer.isPaused(), writer.unansweredCount(), pauses()]).toEqual([true, 4, 1])
  isDown = false
  await clock.advance(5_000)
  expect(answered).toEqual(['a', 'b', 'c', 'd'])
  expect([writer.isPaused(), writer.unansweredCount(), pauses()]).toEqual([false, 0, 1])
  expect(logged).toEqual(['a'])
  write('e')
  expect(answered.at(-1)).toBe('e')
})

test('a store that throws is treated as one that rejects', async () => {
  const { write, answered, clock, errors, pauses } = bench((_id, attempt) => {
    if (attempt < 3) throw new Error('down')
    return DONE
  })
  write('a')
  await clock.advance(10_000)
  expect([answered, errors(), pauses()]).toEqual([['a'], 2, 1])
})

test('silence for the commit wait is a pause, and the late answer ends it', async () => {
  const settle: (() => void)[] = []
  const { write, sent, answered, writer, clock, pauses } = bench((id) =>
    id === 'a' ? new Promise((resolve) => settle.push(() => resolve(DONE))) : DONE,
  )
  write('a')
  await clock.advance(1_999)
  expect(writer.isPaused()).toBe(false)
  await clock.advance(1)
  expect([writer.isPaused(), pauses()]).toEqual([true, 1])
  write('b')
  expect(sent).toEqual(['a'])
  settle[0]?.()
  await clock.advance(0)
  expect(answered).toEqual(['a', 'b'])
  expect(writer.isPaused()).toBe(false)
})

test('a failure while the line is worked off pauses again, and loses nothing', async () => {
  const { write, answered, writer, clock, pauses } = bench((id, attempt) => {
    const failures = id === 'a' || id === 'c' ? 2 : 0
    return attempt <= failures ? down() : DONE
  })
  write('a')
  await clock.advance(0)
  for (const id of ['b', 'c', 'd']) write(id)
  await clock.advance(30_000)
  expect(answered).toEqual(['a', 'b', 'd', 'c'])
  expect([writer.isPaused(), writer.unansweredCount()]).toEqual([false, 0])
  expect(pauses()).toBe(1)
})

test('a commit that the store never takes holds up no other one for long, and is tried ever more slowly', async () => {
  const { write, sent, answered, writer, clock, pauses } = bench((id) => (id === 'bad' ? down() : DONE))
  write('bad')
  await clock.advance(0)
  write('first')
  await clock.advance(1_000)
  expect([answered, writer.isPaused()]).toEqual([['first'], false])
  for (let second = 0; second < 60; second += 1) {
    write(`at ${second}`)
    await clock.advance(1_000)
    expect(answered.at(-1)).toBe(`at ${second}`)
  }
  expect([pauses(), writer.isPaused(), writer.unansweredCount()]).toEqual([1, false, 1])
  expect(sent.filter((id) => id === 'bad').length).toBeLessThan(30)
})

test('what failed in an outage is written as soon as the store answers again, and not when its own time has come', async () => {
  let isDown = true
  const { write, answered, writer, clock } = bench(() => (isDown ? down() : Promise.resolve(DONE)), seededRandom(1))
  const ids = Array.from({ length: 300 }, (_, index) => `commit ${index}`)
  for (const id of ids) write(id)
  await clock.advance(60_000)
  isDown = false
  while (answered.length === 0) await clock.advance(1)
  await clock.advance(1)
  expect(answered.toSorted()).toEqual(ids.toSorted())
  expect([writer.isPaused(), writer.unansweredCount()]).toEqual([false, 0])
})

test('failures among others that are answered at the same time leave a writer that pauses again and again', async () => {
  let isDown = false
  const { write, answered, writer, clock, pauses } = bench((id, attempt) =>
    isDown || (id.endsWith('c') && attempt === 1)
      ? down()
      : new Promise((resolve) => setImmediate(() => resolve(DONE))),
  )
  for (let outage = 1; outage <= 4; outage += 1) {
    isDown = true
    write(`${outage} a`)
    await clock.advance(0)
    expect([writer.isPaused(), pauses()]).toEqual([true, outage])
    for (const id of ['b', 'c', 'd', 'e']) write(`${outage} ${id}`)
    isDown = false
    while (answered.length < 5 * outage) {
      await clock.advance(100)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(writer.isPaused()).toBe(false)
  }
})

test('an attempt without an answer is given up and made again; of two answers the first counts', async () => {
  const answers: (() => void)[] = []
  const { write, sent, answered, writer, clock, errors } = bench(
    () => new Promise((resolve) => answers.push(() => resolve(DONE))),
  )
  write('a')
  await clock.advance(9_999)
  expect([sent, writer.isPaused()]).toEqual([['a'], true])
  await clock.advance(1_000)
  expect([sent, errors()]).toEqual([['a', 'a'], 1])
  answers[0]?.()
  await clock.advance(1)
  expect([answered, writer.isPaused(), writer.unansweredCount()]).toEqual([['a'], false, 0])
  answers[1]?.()
  await clock.advance(60_000)
  expect([answered, sent.length]).toEqual([['a'], 2])
})

test('what waits is counted, and the writer says when that is too much', async () => {
  let isDown = true
  const { write, writer, clock } = bench(() => (isDown ? down() : DONE))
  for (let count = 0; count < 10; count += 1) write(`commit ${count}`)
  await clock.advance(0)
  expect(writer.isFull()).toBe(true)
  isDown = false
  await clock.advance(10_000)
  expect([writer.isFull(), writer.unansweredCount()]).toEqual([false, 0])
})

test('a long line goes out so many at a time', async () => {
  let isDown = true
  const answers: (() => void)[] = []
  const { write, sent, answered, writer, clock } = bench(() =>
    isDown ? down() : new Promise((resolve) => answers.push(() => resolve(DONE))),
  )
  const ids = Array.from({ length: 500 }, (_, index) => `commit ${index}`)
  for (const id of ids) write(id)
  await clock.advance(0)
  const more = Array.from({ length: 500 }, (_, index) => `later ${index}`)
  for (const id of more) write(id)
  isDown = false
  await clock.advance(1)
  while (answered.length < 1_000) {
    const before = sent.length
    const open = answers.splice(0)
    for (const answer of open) answer()
    await clock.advance(100)
    expect(sent.length - before).toBeLessThanOrEqual(700)
  }
  expect(answered.toSorted()).toEqual([...ids, ...more].toSorted())
  expect([writer.isPaused(), writer.unansweredCount()]).toEqual([false, 0])
})

test('several commits that fail at once are all tried again until each is answered once', async () => {
  const { write, answered, writer, clock } = bench((_id, attempt) => (attempt < 4 ? down() : Promise.resolve(DONE)))
  const ids = Array.from({ length: 20 }, (_, index) => `commit ${index}`)
  for (const id of ids) write(id)
  await clock.advance(120_000)
  expect(answered.toSorted()).toEqual(ids.toSorted())
  expect([writer.isPaused(), writer.unansweredCount(), clock.timerCount()]).toEqual([false, 0, 0])
})

test('attempts come ever more slowly, and never more slowly than every five seconds', async () => {
  const { write, sent, clock } = bench(down)
  write('a')
  const counts: number[] = []
  for (let second = 0; second < 60; second += 1) {
    const before = sent.length
    await clock.advance(1_000)
    counts.push(sent.length - before)
  }
  expect(counts[0]).toBeGreaterThan(3)
  expect(counts.slice(20).reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(9)
  expect(counts.slice(20).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(7)
})

test('a refusal is an answer: it is handed on and nothing is tried again', () => {
  const { write, sent, answered, writer } = bench(() => ({ kind: 'stale' }))
  write('a')
  expect([sent, answered, writer.isPaused()]).toEqual([['a'], ['a'], false])
})

test('a commit that is written from within an answer is not lost', async () => {
  const order: string[] = []
  const { writer, clock } = bench((_id, attempt) => (attempt < 2 ? down() : DONE))
  const commitOf = (id: string): Commit =>
    ({ id, record: { taskId: id }, events: [], attachments: [] }) as unknown as Commit
  writer.write({
    commit: commitOf('a'),
    onReply: () => {
      order.push('a')
      writer.write({ commit: commitOf('c'), onReply: () => void order.push('c') })
    },
  })
  await clock.advance(0)
  writer.write({ commit: commitOf('b'), onReply: () => void order.push('b') })
  await clock.advance(60_000)
  expect(order).toEqual(['a', 'b', 'c'])
  expect(writer.unansweredCount()).toBe(0)
})
