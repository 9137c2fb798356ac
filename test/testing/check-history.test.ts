import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TaskEvent, TaskEventType } from 'outlive'
import { checkHistory, type HistoryFact } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { REPOSITORY } from '../support/repository.ts'
import { readTestTitles } from '../support/test-titles.ts'

function event(taskId: string, seq: number, type: TaskEventType, fields: object = {}): TaskEvent {
  return {
    taskId,
    seq,
    type,
    owner: 'ann',
    epoch: 1,
    rootId: taskId,
    depth: 0,
    at: 0,
    ...fields,
  } as unknown as TaskEvent
}

const committed = (taskId: string, seq: number, type: TaskEventType): HistoryFact => ({
  type: 'committed',
  event: event(taskId, seq, type),
})
const seen = (taskId: string, seq: number, type: TaskEventType, fields: object = {}): HistoryFact => ({
  type: 'seen',
  consumer: 'reader',
  owner: 'ann',
  item: event(taskId, seq, type, fields),
})
const life = [committed('a', 1, 'task.queued'), committed('a', 2, 'task.started'), committed('a', 3, 'task.completed')]
const kept: HistoryFact = { type: 'kept', taskId: 'a', status: 'completed', value: '42' }
const counted: HistoryFact = { type: 'counted', byStatus: { completed: 1 } }
const sent: HistoryFact = { type: 'sent', deliveryId: 'd', target: 'mail:x', body: 'it is 42', isAccepted: true }
const delivered: HistoryFact = { type: 'delivery', deliveryId: 'd', taskId: 'a', state: 'delivered' }

/** Everything that was said about one task, and all of it is true. */
const SOUND: readonly HistoryFact[] = [
  { type: 'acknowledged', taskId: 'a', owner: 'ann' },
  ...life,
  seen('a', 1, 'task.queued'),
  seen('a', 2, 'task.started'),
  seen('a', 3, 'task.completed'),
  { type: 'told', taskId: 'a', status: 'completed', value: '42' },
  { type: 'peeked', taskId: 'a', verb: 'get', found: false },
  sent,
  kept,
  delivered,
  counted,
]

/** The rules that a history breaks in which one fact is another one. */
function rulesOf(facts: readonly HistoryFact[]): number[] {
  return [...new Set(checkHistory(facts).map(({ rule }) => rule))]
}

function replaced(fact: HistoryFact, by: readonly HistoryFact[]): HistoryFact[] {
  const index = SOUND.indexOf(fact)
  expect(index).toBeGreaterThanOrEqual(0)
  return SOUND.toSpliced(index, 1, ...by)
}

test('a sound history has no breach, nor has one that is not at its end', () => {
  expect(checkHistory([])).toEqual([])
  expect(checkHistory(SOUND)).toEqual([])
  expect(checkHistory(SOUND.slice(0, 5))).toEqual([])
})

describe('each rule of a history', () => {
  test('rule 1: a second end in the store, and another end for a consumer than for the store', () => {
    expect(rulesOf([...SOUND, committed('a', 4, 'task.failed')])).toContain(1)
    expect(checkHistory([committed('a', 1, 'task.failed'), seen('a', 1, 'task.completed')])).toEqual([
      { rule: 1, taskId: 'a', message: 'task.completed as number 1, and task.failed as number 1' },
    ])
  })

  test('rule 2: a consumer that misses an event, reads one twice, in another order, or one that is not there', () => {
    const [queued, started, completed] = [1, 2, 3].map((seq) =>
      seen('a', seq, ['task.queued', 'task.started', 'task.completed'][seq - 1] as TaskEventType),
    ) as [HistoryFact, HistoryFact, HistoryFact]
    expect(checkHistory([...life, started, completed])).toEqual([])
    expect(checkHistory([...life, queued, started])).toEqual([])
    for (const items of [
      [queued, completed],
      [queued, queued, started],
      [started, queued],
      [queued, started, completed, seen('a', 4, 'task.output')],
    ]) {
      expect(rulesOf([...life, ...items])).toEqual([2])
    }
    const gap: HistoryFact = {
      type: 'seen',
      consumer: 'reader',
      owner: 'ann',
      item: { type: 'stream.gap', from: 2, to: 2 },
    }
    expect(checkHistory([...life, queued, gap, completed])).toEqual([])
  })

  test('rule 2: what was read while a call was ephemeral need not come again, and may', () => {
    const early = [seen('a', 1, 'task.queued', { ephemeral: true }), seen('a', 2, 'task.started', { ephemeral: true })]
    const before = committed('b', 1, 'task.queued')
    const first = seen('b', 1, 'task.queued')
    expect(checkHistory([before, ...life, first, ...early, seen('a', 3, 'task.completed')])).toEqual([])
    const again = [seen('a', 1, 'task.queued'), seen('a', 2, 'task.started'), seen('a', 3, 'task.completed')]
    expect(checkHistory([before, ...life, first, ...early, ...again])).toEqual([])
    expect(rulesOf([before, ...life, first, seen('a', 3, 'task.completed')])).toEqual([2])
  })

  test('rule 3: a task whose start was acknowledged, and that is not kept', () => {
    const lost: HistoryFact = { type: 'acknowledged', taskId: 'b', owner: 'ann' }
    expect(checkHistory([lost, ...SOUND])).toEqual([
      { rule: 3, taskId: 'b', message: 'its start was acknowledged, and it is not kept' },
    ])
  })

  test('rule 4: a caller that was told of another end, or another value, than is kept, or than it was told before', () => {
    expect(rulesOf(replaced(kept, [{ type: 'kept', taskId: 'a', status: 'completed', value: '43' }]))).toEqual([4])
    expect(
      rulesOf([
        { type: 'told', taskId: 'a', status: 'failed' },
        { type: 'told', taskId: 'a', status: 'running' },
      ]),
    ).toEqual([4])
    expect(
      rulesOf([
        { type: 'told', taskId: 'a', status: 'running' },
        { type: 'told', taskId: 'a', status: 'failed' },
      ]),
    ).toEqual([])
  })

  test('rule 5: a verb of another owner that finds the task', () => {
    expect(checkHistory([...SOUND, { type: 'peeked', taskId: 'a', verb: 'cancel', found: true }])).toEqual([
      { rule: 5, taskId: 'a', message: 'another owner has found it by cancel' },
    ])
  })

  test('rule 6: a delivery that is owed in the end, or that nobody has taken, and what was sent without one', () => {
    expect(rulesOf(replaced(delivered, []))).toEqual([6])
    expect(rulesOf(replaced(delivered, [{ ...delivered, state: 'owed' } as HistoryFact]))).toEqual([6])
    expect(rulesOf(replaced(sent, [{ ...sent, isAccepted: false } as HistoryFact]))).toEqual([6])
    expect(rulesOf(replaced(delivered, [{ ...delivered, state: 'givenUp' } as HistoryFact]))).toEqual([])
  })

  test('rule 6: what is sent before the store has it', () => {
    expect(rulesOf(replaced(sent, [{ ...sent, isKept: true } as HistoryFact]))).toEqual([])
    expect(rulesOf(replaced(sent, [{ ...sent, isKept: false } as HistoryFact]))).toEqual([6])
  })

  test('rule 6: a delivery of several messages of which one was not taken', () => {
    const part = (number: number, isAccepted = true): HistoryFact => {
      return { ...sent, body: `part ${number}`, part: number, parts: 3, isAccepted } as HistoryFact
    }
    expect(rulesOf(replaced(sent, [part(1), part(2), part(2), part(3)]))).toEqual([])
    expect(rulesOf(replaced(sent, [part(1), part(2), part(3, false), part(3)]))).toEqual([])
    expect(rulesOf(replaced(sent, [part(1), part(2), part(3, false)]))).toEqual([6])
    expect(checkHistory(replaced(sent, [part(1), part(2)]))).toEqual([
      { rule: 6, taskId: 'a', message: 'd is said to be delivered, and 2 of 3 parts were taken' },
    ])
  })

  test('rule 7: one id with two bodies, or two targets', () => {
    expect(rulesOf([...SOUND, { ...sent, body: 'it is 43' } as HistoryFact])).toEqual([7])
    expect(rulesOf([...SOUND, { ...sent, target: 'mail:y' } as HistoryFact])).toEqual([7])
    expect(rulesOf([...SOUND, sent])).toEqual([])
  })

  test('rule 8: a task that has not ended in its time, or is live in the end', () => {
    const live: HistoryFact[] = [
      { type: 'kept', taskId: 'a', status: 'running' },
      { type: 'counted', byStatus: { running: 1 } },
    ]
    expect(rulesOf([{ type: 'stuck', taskId: 'a', status: 'retrying' }])).toEqual([8])
    expect(checkHistory(live)).toEqual([{ rule: 8, taskId: 'a', message: 'it is still running' }])
  })

  test('rule 9: a count that is not that of the tasks', () => {
    expect(rulesOf(replaced(counted, [{ type: 'counted', byStatus: { completed: 2 } }]))).toEqual([9])
    expect(rulesOf(replaced(counted, [{ type: 'counted', byStatus: { completed: 1, failed: 1 } }]))).toEqual([9])
    expect(rulesOf(replaced(counted, [{ type: 'counted', byStatus: {} }]))).toEqual([9])
  })

  test('rule 10: a call that does not begin although all have ended', () => {
    const tried = { type: 'tried', process: 'n1', owner: 'ann', calls: 2 } as const
    expect(rulesOf([...SOUND, { ...tried, begun: 2 }])).toEqual([])
    expect(checkHistory([...SOUND, { ...tried, begun: 1 }])).toEqual([
      { rule: 10, message: 'of 2 calls by ann on n1 1 have begun' },
    ])
  })
})

test('the page on testing says each rule, and each has a test that breaks it', () => {
  const rules = [
    ...readFileSync(join(REPOSITORY, 'src/testing/check-history.ts'), 'utf8').matchAll(/^ \* (\d+)\. (.*)$/gm),
  ]
  expect(rules.map(([, number]) => number)).toEqual(Array.from({ length: 10 }, (_, index) => String(index + 1)))
  const page = readFileSync(join(REPOSITORY, 'docs/testing.md'), 'utf8')
  const titles = readTestTitles('test/testing/check-history.test.ts').map(({ title }) => title)
  for (const [, number, sentence] of rules) {
    expect(page).toContain(`${number}. ${sentence}`)
    expect(titles.some((title) => title.startsWith(`rule ${number}:`))).toBe(true)
  }
})
