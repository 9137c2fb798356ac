import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  createTaskSupervisor,
  memoryStore,
  type Commit,
  type CommitReply,
  type TaskContext,
  type TaskStore,
} from 'outlive'
import { controllableTool, createManualClock, passTurns, sequentialIds, verifyLog } from 'outlive/testing'
import { expect, inject, test } from 'vitest'
import { expectReached, fc } from '../support/properties.ts'
import { collect, seededRandom, setup, watch } from '../support/setup.ts'

const KEYS = ['a', 'b', 'c'] as const
type Key = (typeof KEYS)[number]

/** Takes numbers, each after a turn that `held` decides on, and gives them doubled. */
function doubling(held: (value: unknown) => Promise<unknown> | undefined): StandardSchemaV1<unknown, number> {
  const judge = (value: unknown): StandardSchemaV1.Result<number> =>
    typeof value === 'number' ? { value: value * 2 } : { issues: [{ message: 'no number' }] }
  return {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => held(value)?.then(() => judge(value)) ?? judge(value),
    },
  }
}

// ---- one command after the other, against a model

const WITHIN_MS = 1_000
const TIMEOUT_MS = 2_500

type Command =
  | { readonly kind: 'ask'; readonly key: Key; readonly hasDefault: boolean; readonly isChecked: boolean }
  | { readonly kind: 'answer'; readonly key: Key; readonly value: number | string; readonly by: 'ann' | 'bob' }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'attach' | 'cancel' | 'complete' | 'fail' }

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      key: fc.constantFrom(...KEYS),
      hasDefault: fc.boolean(),
      isChecked: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      key: fc.constantFrom(...KEYS),
      value: fc.oneof(fc.integer(), fc.constant('text')),
      by: fc.constantFrom('ann' as const, 'ann' as const, 'ann' as const, 'bob' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1, 400, WITHIN_MS, TIMEOUT_MS) }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'attach' as const }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ kind: 'cancel' as const }, { kind: 'complete' as const }, { kind: 'fail' as const }),
  },
)

type Outcome = 'pending' | { readonly value: unknown } | { readonly code: string }

interface ModelQuestion {
  state: 'open' | 'answered' | 'timeout' | 'ended'
  leftMs: number
  readonly hasDefault: boolean
  readonly isChecked: boolean
  outcome: Outcome
}

/** What one task may be expected to be, told in as few words as possible. Its code honours its signal at once. */
class Model {
  status = 'running'
  ranMs = 0
  readonly questions = new Map<Key, ModelQuestion>()

  get open(): ModelQuestion[] {
    return [...this.questions.values()].filter(({ state }) => state === 'open')
  }

  get isOver(): boolean {
    return this.status !== 'running' && this.status !== 'waiting'
  }

  end(status: string, code: string): void {
    if (this.isOver) return
    for (const question of this.open) Object.assign(question, { state: 'ended', outcome: { code } })
    this.status = status
  }

  refresh(): void {
    if (!this.isOver) this.status = this.open.length > 0 ? 'waiting' : 'running'
  }

  /** Millisecond by millisecond: slow, and plain to see. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms && !this.isOver; passed += 1) {
      if (this.open.length === 0) {
        this.ranMs += 1
        if (this.ranMs === TIMEOUT_MS) return this.end('failed', 'task_stopped')
      }
      for (const question of this.open) {
        question.leftMs -= 1
        if (question.leftMs > 0) continue
        question.state = 'timeout'
        question.outcome = question.hasDefault ? { value: 'default' } : { code: 'question_closed' }
      }
      this.refresh()
    }
  }

  /** The code that the order gets, or nothing. */
  ask(key: Key, hasDefault: boolean, isChecked: boolean): string | undefined {
    if (this.isOver) return 'task_final'
    if (this.questions.has(key)) return 'not_allowed'
    this.questions.set(key, { state: 'open', leftMs: WITHIN_MS, hasDefault, isChecked, outcome: 'pending' })
    this.refresh()
    return undefined
  }

  answer(key: Key, value: number | string, by: 'ann' | 'bob'): string | undefined {
    if (by === 'bob') return 'task_not_found'
    if (this.isOver) return 'task_final'
    const question = this.questions.get(key)
    if (question?.state !== 'open') return 'question_closed'
    if (question.isChecked && typeof value !== 'number') return 'input_invalid'
    question.state = 'answered'
    question.outcome = { value: question.isChecked && typeof value === 'number' ? value * 2 : value }
    this.refresh()
    return undefined
  }
}

function outcomeOf(seen: ReturnType<typeof watch>): Outcome {
  if (seen.state === 'pending') return 'pending'
  return seen.state === 'resolved' ? { value: seen.value } : { code: (seen.error as { code: string }).code }
}

test('whatever is asked, answered and ended, and whenever, the task does what the model does', async () => {
  const reached = { timeout: 0, default: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 3, maxLength: 14 }), async (commands) => {
      const { ann, bob, settle, advance, tasks } = setup({ timeoutMs: TIMEOUT_MS })
      const work = controllableTool<undefined, string>('work', { honoursSignal: true })
      const task = await ann.spawn(work.tool, undefined)
      await settle()
      const { ctx, resolve, reject } = work.call(0)
      const model = new Model()
      const asked = new Map<Key, ReturnType<typeof watch>>()
      const schema = doubling((value) => (Number(value) % 2 === 0 ? Promise.resolve() : undefined))

      const ask = (given: Extract<Command, { kind: 'ask' }>): void => {
        const options = {
          answerWithinMs: WITHIN_MS,
          ...(given.hasDefault ? { default: 'default' } : {}),
          ...(given.isChecked ? { schema } : {}),
        } as Parameters<TaskContext['ask']>[2]
        const seen = watch(ctx.ask(given.key, '?', options))
        const code = model.ask(given.key, given.hasDefault, given.isChecked)
        if (code === undefined) asked.set(given.key, seen)
      }

      for (const given of commands) {
        switch (given.kind) {
          case 'ask':
            ask(given)
            break
          case 'answer': {
            const by = given.by === 'ann' ? ann : bob
            const code = model.answer(given.key, given.value, given.by)
            const seen = watch(by.answer(task.taskId, given.key, given.value))
            await settle()
            expect(outcomeOf(seen)).toEqual(code === undefined ? { value: undefined } : { code })
            if (code === 'input_invalid') reached.refused += 1
            break
          }
          case 'pass':
            model.pass(given.ms)
            await advance(given.ms)
            break
          case 'attach':
            void watch(ann.attach(task.taskId))
            break
          case 'cancel':
            model.end('cancelled', 'task_stopped')
            void task.cancel()
            break
          case 'complete':
            model.end('completed', 'question_closed')
            resolve('done')
            break
          case 'fail':
            model.end('failed', 'question_closed')
            reject(new Error('broken'))
            break
        }
        await settle()
        const record = await task.record()
        expect(record.status).toBe(model.status)
        expect(record.questions?.map(({ key }) => key) ?? []).toEqual(
          [...model.questions].filter(([, { state }]) => state === 'open').map(([key]) => key),
        )
        for (const [key, { outcome }] of model.questions) expect(outcomeOf(asked.get(key) as never)).toEqual(outcome)
      }
      for (const { state, hasDefault } of model.questions.values()) {
        if (state === 'timeout') reached[hasDefault ? 'default' : 'timeout'] += 1
      }
      if (!model.isOver) resolve('done')
      await task.wait()
      const { items, ended } = collect(task.events())
      await ended
      expect(verifyLog(items)).toEqual([])
      const closing = tasks.shutdown({ graceMs: 1 })
      await advance(10_000)
      await closing
    }),
    { numRuns: 150 },
  )
  expectReached(reached, 1)
})

// ---- everything at once, in any order

type ReplyOrder = 'at once' | 'late'

function scheduledStore(scheduler: fc.Scheduler, order: ReplyOrder): TaskStore {
  const inner = memoryStore()
  if (order === 'at once') return inner
  return {
    ...inner,
    async commit(commit: Commit): Promise<CommitReply> {
      await scheduler.schedule(Promise.resolve(), 'store takes effect')
      const reply = await inner.commit(commit)
      await scheduler.schedule(Promise.resolve(), 'store replies')
      return reply
    },
  }
}

const ACTIONS = ['answer a', 'answer a again', 'answer b', 'time', 'cancel', 'complete', 'fail', 'shutdown'] as const

test('whatever order answers, their checks, time, stops and the store take, each question is settled once and every asker and answerer hears of it', async () => {
  let settledByAnswer = 0
  let refusedAnswers = 0
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom<ReplyOrder>('at once', 'late'),
      fc.shuffledSubarray([...ACTIONS], { minLength: 2 }),
      async (scheduler, order, actions) => {
        const clock = createManualClock({ settle: () => Promise.resolve() })
        const store = scheduledStore(scheduler, order)
        const tasks = createTaskSupervisor({
          store,
          clock,
          createId: sequentialIds(),
          random01: seededRandom(3),
          memoise: inject('memoise'),
          logger: { warn: () => undefined, error: () => undefined },
          commitWaitMs: 1_000_000,
        })
        const ann = tasks.session({ owner: 'ann' })
        const schema = doubling(() => scheduler.schedule(Promise.resolve(), 'check'))
        const work = controllableTool<undefined, string>('work', { honoursSignal: true })
        const call = watch(ann.run(work.tool, undefined))
        const { ctx, resolve, reject } = work.call(0)
        const asked = { a: watch(ctx.ask('a', '?', { schema, answerWithinMs: 5_000 })), b: watch(ctx.ask('b', '?')) }
        const answers: { readonly key: 'a' | 'b'; readonly value: number; seen: ReturnType<typeof watch> }[] = []
        const closing: Promise<unknown>[] = []
        const answer = (key: 'a' | 'b', value: number): void =>
          void answers.push({ key, value, seen: watch(ann.answer('task-1', key, value)) })
        const act = (action: (typeof ACTIONS)[number]): void => {
          switch (action) {
            case 'answer a':
              return answer('a', 1)
            case 'answer a again':
              return answer('a', 2)
            case 'answer b':
              return answer('b', 3)
            case 'time':
              return void closing.push(clock.advance(5_000))
            case 'cancel':
              return void ann.cancel('task-1').catch(() => undefined)
            case 'complete':
              return resolve('done')
            case 'fail':
              return reject(new Error('broken'))
            case 'shutdown':
              return void closing.push(tasks.shutdown({ graceMs: 20_000 }))
          }
        }
        for (const action of actions) void scheduler.schedule(Promise.resolve(), action).then(() => act(action))
        for (let round = 0; round < 3; round += 1) {
          await scheduler.waitIdle()
          await passTurns(2)
        }
        const end = tasks.shutdown({ graceMs: 1 })
        await scheduler.waitFor(clock.advance(200_000))
        await scheduler.waitFor(Promise.all([...closing, end]))

        expect(call.state).not.toBe('pending')
        const entries = await store.readEvents({ taskId: 'task-1', afterSeq: 0, limit: 1_000 })
        for (const key of ['a', 'b'] as const) {
          expect(asked[key].state).not.toBe('pending')
          const settled = entries.filter(({ event }) => 'by' in event.data && event.data.key === key)
          expect(settled.length).toBeLessThan(2)
          const accepted = answers.filter((given) => given.key === key && given.seen.state === 'resolved')
          expect(accepted.length).toBeLessThan(2)
          const [winner] = accepted
          if (winner === undefined) {
            expect(asked[key].state).toBe('rejected')
            continue
          }
          settledByAnswer += 1
          expect(asked[key]).toEqual({ state: 'resolved', value: key === 'a' ? winner.value * 2 : winner.value })
          expect(settled.map(({ event }) => event.data)).toMatchObject([{ by: 'answer', answer: winner.value }])
        }
        for (const { seen } of answers) {
          expect(seen.state).not.toBe('pending')
          if (seen.state === 'resolved') continue
          refusedAnswers += 1
          expect(['question_closed', 'task_final']).toContain((seen.error as { code: string }).code)
        }
      },
    ),
    { numRuns: 250 },
  )
  expectReached({ settledByAnswer, refusedAnswers }, 40)
})
