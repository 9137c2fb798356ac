import { join } from 'node:path'
import { defineTool, createTaskSupervisor, type Commit, type StoredRecord } from 'outlive'
import { sqliteStore } from 'outlive/sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { commitOf, recordOf } from '../../src/testing/contract-case.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { until } from '../support/survivors.ts'

// A process starts on a file in which another one has left very much.

const FINISHED = 100_000
const UNFINISHED = 10_000
/** Of the unfinished ones, every so many may run again. */
const AGAIN_EVERY = 10
const READY_MS = 30_000
const AT_ONCE = 1_000
const DEAD = 'node of before'

function finished(index: number, at: number): Commit {
  const end = { status: 'completed', startedAt: at, endedAt: at, lastSeq: 3, resultJson: '"done"' } as const
  const record = recordOf(`finished-${index}`, { ...end, owner: `owner ${index % 100}`, createdAt: at, node: DEAD })
  return commitOf(record, { types: ['task.queued', 'task.started', 'task.completed'] })
}

function unfinished(index: number, at: number): Commit {
  const mayRunAgain = index % AGAIN_EVERY === 0
  const hardAt = at + 3_600_000
  const fields: Partial<StoredRecord> = {
    owner: `owner ${index % 100}`,
    tool: mayRunAgain ? 'again' : 'once',
    createdAt: at,
    startedAt: at,
    lastSeq: 2,
    node: DEAD,
    policy: { timeoutMs: 3_600_000, onParentEnd: 'wait', onChildFailure: 'isolate' },
    ...(mayRunAgain ? { recovery: { interruptions: 0, maxInterruptions: 3, hardAt } } : {}),
  }
  return commitOf(recordOf(`unfinished-${index}`, fields), {
    types: ['task.queued', 'task.started'],
    attachments: mayRunAgain ? [{ kind: 'input', json: JSON.stringify(index) }] : [],
  })
}

test(`over ${FINISHED} finished tasks and ${UNFINISHED} unfinished ones a process is ready within ${READY_MS / 1_000} seconds`, async () => {
  const file = join(scratchFolder('restart'), 'tasks.db')
  const at = Date.now()
  const before = sqliteStore({ file, durability: 'process' })
  await before.open()
  await before.cluster?.join({ node: DEAD, leaseMs: 600_000, now: at })
  const preparedFromMs = performance.now()
  const write = async (count: number, commitFor: (index: number, at: number) => Commit): Promise<void> => {
    for (let from = 0; from < count; from += AT_ONCE) {
      const replies = await Promise.all(
        Array.from({ length: Math.min(AT_ONCE, count - from) }, async (_, offset) =>
          before.commit(commitFor(from + offset, at)),
        ),
      )
      expect(replies.every(({ kind }) => kind === 'committed')).toBe(true)
    }
  }
  await write(UNFINISHED, unfinished)
  await write(FINISHED, finished)
  await before.cluster?.leave({ node: DEAD, now: Date.now() })
  await before.close()
  const preparedMs = performance.now() - preparedFromMs

  const ran = new Set<number>()
  const again = defineTool({
    name: 'again',
    policy: { recovery: 'rerun' },
    run: (index: number) => {
      expect(ran.has(index)).toBe(false)
      ran.add(index)
      return new Promise<never>(() => undefined)
    },
  })
  const logged: string[] = []
  const log = (_fields: object, message: string): void => void logged.push(message)
  const tasks = createTaskSupervisor({
    store: sqliteStore(file),
    tools: [again],
    leaseMs: 6_000,
    graceMs: 100,
    retention: { maxFinished: 1_000_000 },
    logger: { warn: log, error: log },
  })
  onTestFinished(async () => void (await tasks.shutdown({ graceMs: 1 })))
  const sinceStart = startStopwatch()
  await tasks.start()
  const openedMs = sinceStart()
  const expected = UNFINISHED / AGAIN_EVERY
  const isReady = async (): Promise<boolean> => {
    const { byStatus } = await tasks.operator.stats()
    return byStatus.failed === UNFINISHED - expected && byStatus.running === expected && ran.size === expected
  }
  await until(isReady, READY_MS)
  const readyMs = sinceStart()
  console.log(
    `prepared in ${Math.round(preparedMs)} ms, opened in ${Math.round(openedMs)} ms, ` +
      `all recovered ${Math.round(readyMs)} ms after the start`,
  )
  expect(readyMs).toBeLessThan(READY_MS)
  const { tasks: closed } = await tasks.operator.list({ status: ['failed'], limit: 1_000 })
  expect(new Set(closed.map(({ failure }) => failure?.code))).toEqual(new Set(['interrupted']))
  // Deadlines are as they were.
  const { tasks: running } = await tasks.operator.list({ status: ['running'], limit: 1_000 })
  expect(running.filter(({ dueAt }) => Math.abs((dueAt ?? 0) - (at + 3_600_000)) > 60_000)).toEqual([])
  expect((await tasks.operator.stats()).byStatus.completed).toBe(FINISHED)
  expect(logged).toEqual([])
})
