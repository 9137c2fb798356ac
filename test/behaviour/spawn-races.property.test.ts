import {
  createTaskSupervisor,
  isFinalStatus,
  isTaskError,
  memoryStore,
  type CancelReport,
  type OnChildFailure,
  type TaskContext,
  type TaskStore,
} from 'outlive'
import { createManualClock, passTurns, sequentialIds, verifyLog } from 'outlive/testing'
import { expect, inject, test } from 'vitest'
import { KEEP_ALL, wholeLog } from '../support/branches.ts'
import { expectReached, fc } from '../support/properties.ts'

type Act =
  | { readonly verb: 'spawn' | 'run'; readonly at: number; readonly deaf: boolean; readonly name: string | undefined }
  | { readonly verb: 'complete' | 'fail' | 'cancel'; readonly at: number }
  | { readonly verb: 'cancelAll'; readonly at: number }

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constantFrom('spawn' as const, 'run' as const),
      at: fc.nat(8),
      deaf: fc.boolean(),
      name: fc.constantFrom(undefined, undefined, 'a', 'b'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constantFrom('complete' as const, 'fail' as const, 'cancel' as const),
      at: fc.nat(8),
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('cancelAll' as const), at: fc.nat(8) }) },
)

const seen = { refused: 0, taken: 0, cancelledLive: 0, cancelledFinal: 0, ranToItsEnd: 0 }

/** Acts on one tree in the order that the scheduler picks; every answer of the store is one of the things it orders. */
async function race(scheduler: fc.Scheduler, acts: readonly Act[], onChildFailure: OnChildFailure): Promise<void> {
  const inner = memoryStore()
  const store: TaskStore = {
    ...inner,
    commit: (commit) => scheduler.schedule(Promise.resolve(), `commit ${commit.id}`).then(() => inner.commit(commit)),
  }
  const clock = createManualClock()
  const tasks = createTaskSupervisor({
    store,
    clock,
    createId: sequentialIds(),
    memoise: inject('memoise'),
    retention: KEEP_ALL,
    logger: { warn: () => undefined, error: () => undefined },
  })
  const ann = tasks.session({ owner: 'ann' })
  const codes: { readonly ctx: TaskContext; resolve(value: unknown): void; reject(error: unknown): void }[] = []
  const parents = new Map<string, string | undefined>()
  /** Tasks whose cancel was called, in the turn of the call. */
  const stopped = new Set<string>()
  const faults: string[] = []

  const isStopped = (taskId: string | undefined): boolean => {
    for (let at = taskId; at !== undefined; at = parents.get(at)) if (stopped.has(at)) return true
    return false
  }
  const tool = {
    name: 'node',
    policy: { onChildFailure, inlineMs: Infinity },
    run: ({ deaf }: { readonly deaf: boolean }, ctx: TaskContext): Promise<unknown> => {
      parents.set(ctx.taskId, ctx.parentId)
      if (isStopped(ctx.taskId)) faults.push(`${ctx.taskId} started below a cancelled task`)
      return new Promise((resolve, reject) => {
        codes.push({ ctx, resolve, reject })
        if (!deaf) ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
      })
    },
  }

  const settled: Promise<unknown>[] = []
  /** Everything a caller was promised has to be kept, one way or another. */
  const expectAnswer = (promise: Promise<unknown>): void => {
    settled.push(
      promise.then(
        () => (seen.taken += 1),
        (error: unknown) => {
          if (isTaskError(error, 'parent_stopping') || isTaskError(error, 'name_taken')) seen.refused += 1
          else if (
            !isTaskError(error, 'task_cancelled') &&
            !isTaskError(error, 'task_failed') &&
            (error as Error).message !== 'own'
          ) {
            faults.push(`an unexpected answer: ${String(error)}`)
          }
        },
      ),
    )
  }
  const expectReport = async (cancel: Promise<CancelReport>): Promise<void> => {
    const report = await cancel.catch((error: unknown) => {
      // A quick call that has ended leaves no trace.
      if (isTaskError(error, 'task_not_found')) return { count: 0, tasks: [] }
      throw error
    })
    if (report.count === 0) seen.cancelledFinal += 1
    else seen.cancelledLive += 1
    if (new Set(report.tasks.map(({ taskId }) => taskId)).size !== report.tasks.length)
      faults.push('a task twice in a report')
    if (report.count > 0 && report.tasks.some(({ status }) => !isFinalStatus(status))) {
      const kept = await Promise.all(report.tasks.map(async ({ taskId }) => ann.get(taskId)))
      // One that the store refused meanwhile has no record and no end.
      if (kept.some((record) => record !== undefined && !isFinalStatus(record.status)))
        faults.push('a cancel answered too early')
    }
  }

  const perform = (given: Act): void => {
    const code = codes[given.at % Math.max(1, codes.length)]
    switch (given.verb) {
      case 'spawn':
      case 'run': {
        const name = given.name === undefined ? {} : { name: given.name }
        if (code === undefined) return expectAnswer(ann.spawn(tool, { deaf: given.deaf }, name))
        const wasStopped = isStopped(code.ctx.taskId)
        const call: Promise<unknown> =
          given.verb === 'run'
            ? code.ctx.run(tool, { deaf: given.deaf }, name)
            : code.ctx.spawn(tool, { deaf: given.deaf }, name)
        if (wasStopped)
          call.then(
            () => faults.push('a spawn below a cancelled task was taken'),
            () => undefined,
          )
        return expectAnswer(call)
      }
      case 'complete':
        return code?.resolve(seen.ranToItsEnd++)
      case 'fail':
        return code?.reject(new Error('own'))
      case 'cancel':
        if (code === undefined) return
        settled.push(expectReport(ann.cancel(code.ctx.taskId)))
        stopped.add(code.ctx.taskId)
        return
      case 'cancelAll':
        settled.push(expectReport(ann.cancelAll()))
        for (const { ctx } of codes) stopped.add(ctx.taskId)
    }
  }

  expectAnswer(ann.spawn(tool, { deaf: false }))
  for (const [index, given] of acts.entries()) {
    scheduler.schedule(Promise.resolve(), `${index} ${given.verb}`).then(
      () => perform(given),
      () => undefined,
    )
  }
  await scheduler.waitIdle()

  settled.push(expectReport(ann.cancelAll()))
  const isOver = Promise.all(settled)
  let isDone = false
  isOver.then(
    () => (isDone = true),
    (error: unknown) => faults.push(String(error)),
  )
  for (let round = 0; round < 10; round += 1) {
    await scheduler.waitIdle()
    await clock.advance(1_000)
  }
  await scheduler.waitIdle()
  await passTurns(3)
  expect(faults).toEqual([])
  expect(isDone, 'everybody has an answer').toBe(true)

  const log = await wholeLog({ tasks, settle: () => passTurns(3) })
  // The scheduler answers commits of different tasks in any order, so law 5 is checked above, where code starts.
  expect(verifyLog(log).filter(({ law }) => law !== 5)).toEqual([])
  expect((await tasks.operator.stats()).live).toBe(0)
  expect(clock.heldTimerCount()).toBe(0)
  const closing = tasks.shutdown({ graceMs: 1 })
  await clock.advance(10)
  expect(await closing).toEqual({ completed: 0, cancelled: 0, handedBack: 0, abandoned: 0, unsaved: 0, undelivered: 0 })
}

test('cancel, spawn, completion and every answer of the store in any order: nothing starts below a stop, and everybody is answered', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(act, { minLength: 3, maxLength: 14, size: 'max' }),
      fc.constantFrom<OnChildFailure>('isolate', 'fail'),
      race,
    ),
    { numRuns: 150 },
  )
  expectReached(seen, 10)
})
