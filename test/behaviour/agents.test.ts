/** What a host builds of tools: agents that run a prompt, and sub-agents below them. */
import { getEventListeners } from 'node:events'
import { defineTool, type TaskContext } from 'outlive'
import { controllableTool, verifyLog } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup, watch } from '../support/setup.ts'

const look = defineTool({ name: 'look', run: async (word: string) => `${word} seen` })

/** An agent: it turns each word of its prompt into a call of a tool. */
const agent = defineTool({
  name: 'agent',
  run: async (prompt: string, ctx: TaskContext) => {
    const words = prompt.split(' ')
    const found: unknown[] = []
    for (const [index, word] of words.entries()) {
      const outcome = await ctx.run(look, word)
      if (outcome.kind === 'inline') found.push(outcome.value)
      ctx.progress({ done: index + 1, total: words.length })
      ctx.usage({ tokens: word.length })
    }
    return found
  },
})

test('a prompt is a task whose tool runs the agent: it calls tools, reports, and outlives its caller', async () => {
  const { ann, settle } = setup()
  const caller = new AbortController()
  const call = watch(ann.run(agent, 'two owls', { signal: caller.signal, description: 'two owls' }))
  caller.abort(new Error('the request is over'))
  await settle()
  const [task] = (await ann.list({ tool: 'agent' })).tasks
  expect(await ann.result(task?.taskId ?? '')).toEqual(['two seen', 'owls seen'])
  expect(call.error).toMatchObject({ message: 'the request is over' })
  expect(await ann.get(task?.taskId ?? '')).toMatchObject({
    status: 'completed',
    description: 'two owls',
    progress: { fraction: 1, done: 2, total: 2 },
    usage: { tokens: 7, cost: 0 },
  })
})

test('a sub-agent is a child with a life of its own: it reports for itself and stops with its parent', async () => {
  const { ann, settle } = setup()
  const stream = collect(ann.events())
  const leaf = controllableTool<string, string>('leaf', { honoursSignal: true })
  const subAgent = async (topic: string, ctx: TaskContext): Promise<string> => {
    ctx.emit('thinking', { topic })
    const below = await ctx.spawn(leaf.tool, topic)
    return below.result()
  }
  const root = await ann.spawn(
    async (topics: string[], ctx) => {
      const children = await Promise.all(topics.map((topic) => ctx.spawn(subAgent, topic, { name: topic })))
      return Promise.all(children.map((child) => child.result()))
    },
    ['owls', 'cats'],
  )
  await settle()
  const [owls] = (await ann.list({ name: 'owls' })).tasks
  expect(owls).toMatchObject({ depth: 1, parentId: root.taskId, status: 'running' })
  expect((await root.cancel()).count).toBe(5)
  await settle()
  expect(verifyLog(stream.items)).toEqual([])
  const thoughts = stream.items.flatMap((item) => (item.type === 'task.custom' ? [item.payload] : []))
  expect(new Set(thoughts)).toEqual(new Set([{ topic: 'owls' }, { topic: 'cats' }]))
})

test('many calls that share one signal have one listener on it together, and none afterwards', async () => {
  const { ann, settle } = setup()
  const shared = new AbortController()
  const work = controllableTool('work')
  const calls = Array.from({ length: 50 }, () =>
    watch(ann.run(work.tool, undefined, { signal: shared.signal, cancelSignal: shared.signal })),
  )
  await settle()
  expect(getEventListeners(shared.signal, 'abort')).toHaveLength(1)
  for (const call of work.calls) call.resolve(1)
  await settle()
  expect(calls.every(({ state }) => state === 'resolved')).toBe(true)
  expect(getEventListeners(shared.signal, 'abort')).toHaveLength(0)
})
