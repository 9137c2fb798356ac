import { createManualClock } from 'outlive/testing'
import { expect, test } from 'vitest'
import { createDeadlines } from '../../src/runtime/deadlines.ts'
import { createIdle } from '../../src/runtime/idle.ts'
import type { LiveTask } from '../../src/runtime/live-task.ts'
import { createTreeIndex } from '../../src/runtime/tree-index.ts'

test('a wait that gives up leaves no listener with the task it waited for', async () => {
  const clock = createManualClock()
  const tree = createTreeIndex()
  let waiting = 0
  const idle = createIdle({
    tree,
    deadlines: createDeadlines(clock, (error) => {
      throw error
    }),
    waits: {
      enter: () => {
        waiting += 1
        return () => void (waiting -= 1)
      },
      whenEnded: () => Promise.reject(new Error('not used')),
      whenOneEnded: () => Promise.reject(new Error('not used')),
    },
  })
  const task = { kind: 'task', above: tree.requireOwner('ann'), childCount: 0 } as Partial<LiveTask> as LiveTask
  tree.link(task)
  const others = (): void => undefined
  task.endListeners = [others]
  const wait = { waitMs: 10, signal: undefined, waiter: undefined }
  const waits = Array.from({ length: 5 }, () => expect(idle.whenIdle('ann', wait)).rejects.toThrow('10 ms'))
  expect([task.endListeners.length, waiting]).toEqual([6, 5])
  await clock.advance(10)
  await Promise.all(waits)
  expect([task.endListeners, waiting]).toEqual([[others], 0])
})
