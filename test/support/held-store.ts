/** A supervisor whose store applies and answers each commit when the test says so, and not before. */
import {
  createTaskSupervisor,
  memoryStore,
  type Commit,
  type Session,
  type TaskStore,
  type TaskSupervisor,
  type TaskSupervisorOptions,
} from 'outlive'
import { createManualClock, passTurns, sequentialIds, type ManualClock } from 'outlive/testing'
import { inject, onTestFinished } from 'vitest'

export interface HeldHarness {
  readonly tasks: TaskSupervisor
  readonly ann: Session
  readonly clock: ManualClock
  readonly store: TaskStore
  /** Commits without an answer, oldest first. */
  waiting(): readonly Commit[]
  /** Applies and answers everything that waits, and what follows from it, until nothing waits. */
  release(): Promise<void>
  /** From now on commits are answered at once. */
  open(): Promise<void>
  /** From now on commits wait. */
  hold(): void
}

export function setupHeld(options: Omit<TaskSupervisorOptions, 'clock' | 'store'> = {}): HeldHarness {
  const inner = memoryStore()
  const line: { readonly commit: Commit; readonly answer: () => void }[] = []
  let isHeld = true
  const store: TaskStore = {
    ...inner,
    commit(commit) {
      if (!isHeld) return inner.commit(commit)
      return new Promise((resolve, reject) => {
        const answer = (): void => void Promise.resolve(inner.commit(commit)).then(resolve, reject)
        line.push({ commit, answer })
      })
    },
  }
  const clock = createManualClock()
  const tasks = createTaskSupervisor({
    createId: sequentialIds(),
    random01: () => 0.5,
    logger: { warn: () => undefined, error: () => undefined },
    memoise: inject('memoise'),
    ...options,
    store,
    clock,
  })
  const release = async (): Promise<void> => {
    for (;;) {
      await passTurns(2)
      const batch = line.splice(0)
      if (batch.length === 0) return
      for (const { answer } of batch) answer()
    }
  }
  const open = async (): Promise<void> => {
    isHeld = false
    await release()
  }
  onTestFinished(async () => {
    await open()
    const closing = tasks.shutdown({ graceMs: 1 })
    await clock.advance(60_000)
    await closing
  })
  return {
    tasks,
    ann: tasks.session({ owner: 'ann' }),
    clock,
    store,
    waiting: () => line.map(({ commit }) => commit),
    release,
    open,
    hold: () => void (isHeld = true),
  }
}
