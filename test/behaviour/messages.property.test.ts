import {
  createTaskSupervisor,
  memoryStore,
  type Commit,
  type CommitReply,
  type TaskMessage,
  type TaskStore,
} from 'outlive'
import { controllableTool, createManualClock, passTurns, sequentialIds, verifyLog } from 'outlive/testing'
import { expect, inject, test } from 'vitest'
import { expectReached, fc } from '../support/properties.ts'
import { collect, seededRandom, watch } from '../support/setup.ts'

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

const READS = ['receive', 'receive and leave', 'drain', 'loop', 'loop and leave'] as const
const ENDS = ['complete', 'fail', 'cancel', 'shutdown'] as const
type Action = 'send' | (typeof READS)[number] | (typeof ENDS)[number]

test('whatever order senders, readers, ends and the store take, each accepted message is read once or bounces once', async () => {
  const seen = { read: 0, bounced: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom<ReplyOrder>('at once', 'late'),
      fc.array(fc.oneof(fc.constant<Action>('send'), fc.constantFrom<Action>(...READS)), {
        minLength: 4,
        maxLength: 16,
      }),
      fc.constantFrom<Action>(...ENDS),
      async (scheduler, order, actions, end) => {
        const clock = createManualClock({ settle: () => Promise.resolve() })
        const tasks = createTaskSupervisor({
          store: scheduledStore(scheduler, order),
          clock,
          createId: sequentialIds(),
          random01: seededRandom(3),
          memoise: inject('memoise'),
          logger: { warn: () => undefined, error: () => undefined },
          commitWaitMs: 1_000_000,
          inbox: { maxMessages: 4 },
        })
        const ann = tasks.session({ owner: 'ann' })
        const work = controllableTool<undefined, string>('work', { honoursSignal: true })
        const call = watch(ann.run(work.tool, undefined, { inlineMs: 5 }))
        const { ctx, resolve, reject } = work.call(0)
        const read: string[] = []
        const sends: ReturnType<typeof watch<{ messageId: string }>>[] = []
        const note = ({ messageId }: TaskMessage): void => void read.push(messageId)
        const ignore = (): void => undefined
        const closing: Promise<unknown>[] = []

        const receive = (leaves: boolean): void => {
          const leave = new AbortController()
          ctx.inbox.receive({ waitMs: Infinity, signal: leave.signal }).then(note, ignore)
          if (leaves) void scheduler.schedule(Promise.resolve(), 'leave').then(() => leave.abort())
        }
        const loop = (leaves: boolean): void => {
          const iterator = ctx.inbox[Symbol.asyncIterator]()
          const take = ({ done, value }: IteratorResult<TaskMessage, unknown>): void => {
            if (done === true) return
            note(value)
            void iterator.next().then(take)
          }
          void iterator.next().then(take)
          if (leaves) void scheduler.schedule(Promise.resolve(), 'leave').then(() => iterator.return?.())
        }
        const act = (action: Action): void => {
          switch (action) {
            case 'send':
              return void sends.push(watch(ann.send('task-1', 'hello')))
            case 'receive':
              return receive(false)
            case 'receive and leave':
              return receive(true)
            case 'drain':
              return ctx.inbox.drain().forEach(note)
            case 'loop':
              return loop(false)
            case 'loop and leave':
              return loop(true)
            case 'complete':
              return resolve('done')
            case 'fail':
              return reject(new Error('broken'))
            case 'cancel':
              return void ann.cancel('task-1').catch(ignore)
            case 'shutdown':
              return void closing.push(tasks.shutdown({ graceMs: 1 }))
          }
        }
        await clock.advance(5)
        for (const action of [...actions, end]) {
          void scheduler.schedule(Promise.resolve(), action).then(() => act(action))
        }
        for (let round = 0; round < 3; round += 1) {
          await scheduler.waitIdle()
          await passTurns(2)
        }
        const stop = tasks.shutdown({ graceMs: 1 })
        await scheduler.waitFor(clock.advance(200_000))
        await scheduler.waitFor(Promise.all([...closing, stop]))
        await passTurns(2)

        expect(call.state).not.toBe('pending')
        const accepted = sends.flatMap(({ value }) => (value === undefined ? [] : [value.messageId]))
        const bounced = ann.deadLetters.list().map(({ messageId }) => messageId)
        expect([...read, ...bounced].sort()).toEqual([...accepted].sort())
        for (const { state, error } of sends) {
          expect(state).not.toBe('pending')
          if (state === 'rejected') expect(['inbox_full', 'task_final']).toContain((error as { code: string }).code)
        }
        const { items, ended } = collect(ann.events({ taskId: 'task-1' }))
        await scheduler.waitFor(ended)
        expect(verifyLog(items)).toEqual([])
        const logged = (state: string): string[] =>
          items.flatMap((item) => (item.type === 'task.message' && item.state === state ? [item.messageId] : []))
        expect(logged('read').sort()).toEqual([...read].sort())
        expect(logged('bounced').sort()).toEqual([...bounced].sort())
        seen.read += read.length
        seen.bounced += bounced.length
        seen.refused += sends.length - accepted.length
      },
    ),
    { numRuns: 200 },
  )
  expectReached(seen, 20)
})

type OwnerAction =
  | 'end'
  | 'message'
  | 'receive'
  | 'receive and leave'
  | 'drain'
  | 'wake'
  | 'throw once'
  | 'undo'
  | 'pass'

test('whatever order ends, messages, readers and callbacks take, the owner gets each of them once', async () => {
  let told = 0
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.constantFrom<ReplyOrder>('at once', 'late'),
      fc.array(
        fc.constantFrom<OwnerAction>(
          'end',
          'end',
          'message',
          'receive',
          'receive and leave',
          'drain',
          'wake',
          'throw once',
          'undo',
          'pass',
        ),
        { minLength: 4, maxLength: 16 },
      ),
      async (scheduler, order, actions) => {
        const clock = createManualClock({ settle: () => Promise.resolve() })
        const tasks = createTaskSupervisor({
          store: scheduledStore(scheduler, order),
          clock,
          createId: sequentialIds(),
          random01: seededRandom(3),
          memoise: inject('memoise'),
          logger: { warn: () => undefined, error: () => undefined },
          commitWaitMs: 1_000_000,
        })
        const ann = tasks.session({ owner: 'ann' })
        const work = controllableTool<undefined, string>('work', { honoursSignal: true })
        const starting = Promise.all(actions.map(() => ann.spawn(work.tool, undefined)))
        await scheduler.waitFor(starting)
        const got: string[] = []
        const expected: string[] = []
        const undos: (() => void)[] = []
        const times: Promise<unknown>[] = []
        let ended = 0
        const note = ({ messageId }: { messageId: string }): void => void got.push(messageId)

        const act = (action: OwnerAction): void => {
          switch (action) {
            case 'end': {
              const { ctx, resolve } = work.call(ended)
              ended += 1
              expected.push(`end:${ctx.taskId}`)
              return resolve('done')
            }
            case 'message': {
              const { ctx } = work.call(actions.length - 1)
              return void ctx.send('owner', 'hello').then(
                ({ messageId }) => expected.push(messageId),
                () => undefined,
              )
            }
            case 'receive':
            case 'receive and leave': {
              const leave = new AbortController()
              ann.inbox.receive({ waitMs: Infinity, signal: leave.signal }).then(note, () => undefined)
              if (action === 'receive') return
              return void scheduler.schedule(Promise.resolve(), 'leave').then(() => leave.abort())
            }
            case 'drain':
              return void ann.inbox.drain().then((messages) => messages.forEach(note))
            case 'wake':
              return void undos.push(
                ann.inbox.wake(
                  async ({ messages }) => {
                    await scheduler.schedule(Promise.resolve(), 'callback')
                    messages.forEach(note)
                  },
                  { quietMs: 10 },
                ),
              )
            case 'throw once':
              return void undos.push(ann.inbox.wake(() => Promise.reject(new Error('not now')), { quietMs: 10 }))
            case 'undo':
              return undos.at(-1)?.()
            case 'pass':
              return void times.push(clock.advance(25))
          }
        }
        for (const action of actions) void scheduler.schedule(Promise.resolve(), action).then(() => act(action))
        for (let round = 0; round < 3; round += 1) {
          await scheduler.waitIdle()
          await passTurns(2)
        }
        await scheduler.waitFor(Promise.all(times))
        for (const undo of undos) undo()
        await scheduler.waitIdle()
        // What is left is there for whoever comes last.
        const last = ann.inbox.drain()
        ;(await scheduler.waitFor(last)).forEach(note)
        expect([...got].sort()).toEqual([...expected].sort())
        told += got.length
        const stop = tasks.shutdown({ graceMs: 1 })
        await scheduler.waitFor(clock.advance(200_000))
        await scheduler.waitFor(stop)
      },
    ),
    { numRuns: 150 },
  )
  expectReached({ told }, 100)
})
