import type { TaskContext } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup } from '../support/setup.ts'

const retry = { maxAttempts: 3, baseMs: 100, jitter: 'none' } as const

test('an attempt waits for an answer, fails, and the next one asks with a key of its own', async () => {
  const { tasks, ann, advance, settle } = setup({ limits: { maxRunning: 1 } })
  const log = collect(tasks.operator.events())
  const work = async (_: undefined, ctx: TaskContext): Promise<unknown> => {
    const answer = await ctx.ask(`go ${ctx.attempt}`, 'Go on?')
    if (answer !== true) throw new Error('not yet')
    return ctx.attempt
  }
  const task = await ann.spawn(work, undefined, { retry })
  await settle()
  expect(await task.record()).toMatchObject({ status: 'waiting', attempt: 1 })
  await task.answer('go 1', false)
  await settle()
  expect(await task.record()).toMatchObject({ status: 'retrying' })
  await advance(100)
  expect(await task.record()).toMatchObject({ status: 'waiting', attempt: 2, questions: [{ key: 'go 2' }] })
  await expect(task.answer('go 1', true)).rejects.toMatchObject({ code: 'question_closed' })
  await task.answer('go 2', true)
  expect(await task.result()).toBe(2)
  await settle()
  expect(verifyLog(log.items)).toEqual([])
})

test('the limit of an attempt stands still while it waits, and goes on with what was left', async () => {
  const { ann, advance, settle } = setup()
  const goOn = controllableTool('go-on')
  const work = async (_: undefined, ctx: TaskContext): Promise<void> => {
    await ctx.ask(`go ${ctx.attempt}`, 'Go on?')
    await goOn.tool.run(undefined, ctx)
  }
  const task = await ann.spawn(work, undefined, { retry, attemptTimeoutMs: 1_000 })
  await advance(5_000)
  expect(await task.record()).toMatchObject({ status: 'waiting', attempt: 1 })
  await task.answer('go 1', true)
  await settle()
  const { dueAt = 0 } = await task.record()
  await advance(999)
  expect(await task.record()).toMatchObject({ status: 'running', dueAt })
  await advance(1)
  expect(await task.record()).toMatchObject({ status: 'stopping' })
})

test('code of an attempt that is over cannot ask, and its open question is closed with it', async () => {
  const { ann, advance, settle } = setup({ graceMs: 50 })
  const failing = controllableTool('failing')
  const asked: unknown[] = []
  const work = async (_: undefined, ctx: TaskContext): Promise<void> => {
    await ctx.spawn(failing.tool, undefined)
    await ctx.ask(`first ${ctx.attempt}`, 'Go on?').catch((error: unknown) => asked.push(error))
    await new Promise((resolve) => setImmediate(resolve))
    if (ctx.attempt > 1) return
    // It goes on after its attempt was let go.
    await new Promise(() => undefined)
  }
  const tool = { name: 'work', policy: { onChildFailure: 'fail', retry } as const, run: work }
  const task = await ann.spawn(tool, undefined)
  await settle()
  failing.call(0).reject(new Error('broken'))
  await settle()
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatchObject({ code: 'question_closed' })
  await advance(50)
  await advance(100)
  expect(await task.record()).toMatchObject({ status: 'waiting', attempt: 2, questions: [{ key: 'first 2' }] })
  await task.answer('first 2', true)
  failing.call(1).resolve(0)
  await settle()
  expect(await task.record()).toMatchObject({ status: 'completed' })
})
