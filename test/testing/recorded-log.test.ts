import { appendFileSync, readFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { createTaskSupervisor, defineTool, type StreamItem } from 'outlive'
import { compareLogs, parseLog, passTurns, recordLog, replay } from 'outlive/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { scratchFolder } from '../support/scratch-folder.ts'

const leaf = defineTool({ name: 'leaf', run: async (n: number) => n * 2 })
const parent = defineTool({
  name: 'parent',
  run: async (n: number, ctx) => (await ctx.spawn(leaf, n)).result(),
})

/** Records what a supervisor does until `live` has ended. */
async function record(file: string, live: (tasks: ReturnType<typeof createTaskSupervisor>) => Promise<unknown>) {
  const tasks = createTaskSupervisor()
  onTestFinished(async () => void (await tasks.shutdown()))
  const reading = new AbortController()
  const recorded = recordLog(tasks.operator.events({ signal: reading.signal }), file)
  await live(tasks)
  await passTurns(5)
  reading.abort()
  return recorded
}

function logFile(): string {
  return join(scratchFolder('recorded'), 'log.jsonl')
}

describe('a recorded log', () => {
  test('holds what the stream gave, in its order, and is sound when it is read back', async () => {
    const file = logFile()
    const seen: string[] = []
    const count = await record(file, async (tasks) => {
      const task = await tasks.spawn(parent, 21)
      expect(await task.result()).toBe(42)
      for await (const item of tasks.events({ taskId: task.taskId })) seen.push(item.type)
    })
    const { items, breaches } = await replay(file)
    expect(breaches).toEqual([])
    expect(items).toHaveLength(count)
    expect(items.filter((item) => 'depth' in item && item.depth === 0).map(({ type }) => type)).toEqual(seen)
  })

  test('is checked: a log from which an event was taken breaks its law', async () => {
    const file = logFile()
    const tasks = createTaskSupervisor()
    onTestFinished(async () => void (await tasks.shutdown()))
    const task = await tasks.spawn(leaf, 1)
    await recordLog(task.events(), file, { redact: (item) => (item.type === 'task.started' ? undefined : item) })
    expect((await replay(file)).breaches.map(({ law }) => law)).toEqual([1])
  })

  test('says only what it may say', async () => {
    const file = logFile()
    const tasks = createTaskSupervisor()
    onTestFinished(async () => void (await tasks.shutdown()))
    const task = await tasks.spawn(
      defineTool({ name: 'says', run: async (_: undefined, ctx) => ctx.output('a secret') }),
      undefined,
    )
    await recordLog(task.events(), file, {
      redact: (item) => (item.type === 'task.output' ? { ...item, chunk: '' } : item),
    })
    expect(readFileSync(file, 'utf8')).not.toContain('secret')
    expect((await replay(file)).breaches).toEqual([])
  })

  test('that ends in the middle of a line is what came before it', async () => {
    const file = logFile()
    const count = await record(file, async (tasks) => tasks.result((await tasks.spawn(leaf, 1)).taskId))
    truncateSync(file, readFileSync(file).byteLength - 10)
    expect((await replay(file, { isComplete: false })).items).toHaveLength(count - 1)
  })

  test('that holds something else is refused, with the line', async () => {
    const file = logFile()
    await record(file, async (tasks) => tasks.result((await tasks.spawn(leaf, 1)).taskId))
    appendFileSync(file, 'no JSON\n')
    await expect(replay(file)).rejects.toThrow('line 5 is no item of a stream: no JSON')
    expect(() => parseLog('{"format":"other"}\n')).toThrow('line 1 is not the head of a recorded log')
    expect(() => parseLog('')).toThrow('line 1')
    expect(() => parseLog('{"format":"outlive-log","version":1}\n{"seq":1}\n')).toThrow('line 2')
  })

  test('that cannot be written, and a stream that fails, reject', async () => {
    const nowhere = join(scratchFolder('recorded'), 'no', 'such', 'folder')
    const one = async function* (): AsyncGenerator<StreamItem> {
      yield { type: 'stream.reset' }
      throw new Error('the stream has failed')
    }
    await expect(recordLog(one(), nowhere)).rejects.toThrow('ENOENT')
    await expect(recordLog(one(), logFile())).rejects.toThrow('the stream has failed')
  })
})

describe('two logs', () => {
  const life = (taskId: string, ...types: readonly string[]): StreamItem[] =>
    types.map(
      (type, index) =>
        ({ type, taskId, rootId: taskId, seq: index + 1, at: Math.random(), owner: 'ann' }) as unknown as StreamItem,
    )

  test('of two runs of one program are the same, though ids and moments differ', async () => {
    const files = [logFile(), logFile()] as const
    for (const file of files) await record(file, async (tasks) => tasks.result((await tasks.spawn(parent, 1)).taskId))
    const [first, second] = await Promise.all(files.map(async (file) => (await replay(file)).items))
    expect(first?.length).toBeGreaterThan(4)
    expect(compareLogs(first ?? [], second ?? [])).toBeUndefined()
  })

  test('part at the first item that differs, or that one of them lacks', () => {
    const expected = life('a', 'task.queued', 'task.started', 'task.completed')
    const failed = life('b', 'task.queued', 'task.started', 'task.failed')
    expect(compareLogs(expected, failed)).toEqual({ index: 2, expected: expected[2], actual: failed[2] })
    expect(compareLogs(expected, failed.slice(0, 2))).toEqual({ index: 2, expected: expected[2] })
    expect(compareLogs(expected.slice(0, 1), expected)).toEqual({ index: 1, actual: expected[1] })
  })

  test('part where a child has another parent, though all ids differ anyway', () => {
    const tree = (ids: readonly string[], parentId: string | undefined): StreamItem[] =>
      ids.map((taskId) => ({ type: 'task.queued', taskId, parentId, seq: 1 }) as unknown as StreamItem)
    const below = [...tree(['a', 'b'], undefined), ...tree(['c'], 'a')]
    expect(compareLogs(below, [...tree(['x', 'y'], undefined), ...tree(['z'], 'x')])).toBeUndefined()
    expect(compareLogs(below, [...tree(['x', 'y'], undefined), ...tree(['z'], 'y')])?.index).toBe(2)
  })

  test('may be compared task by task, whatever order the tasks take', () => {
    const [a, b] = [life('a', 'task.queued', 'task.failed'), life('b', 'task.queued', 'task.completed')]
    const mixed = [a[0], b[0], b[1], a[1]] as StreamItem[]
    expect(compareLogs([...a, ...b], mixed)?.index).toBe(1)
    expect(compareLogs([...a, ...b], mixed, { order: 'perTask' })).toBeUndefined()
    const other = [...a, ...life('b', 'task.queued', 'task.cancelled')]
    expect(compareLogs([...a, ...b], other, { order: 'perTask' })).toMatchObject({ index: 1, task: 'task 2' })
  })

  test('may differ in the fields that are named', () => {
    const [ann, bob] = ['ann', 'bob'].map((owner) => life('a', 'task.queued').map((item) => ({ ...item, owner })))
    expect(compareLogs(ann ?? [], bob ?? [])?.index).toBe(0)
    expect(compareLogs(ann ?? [], bob ?? [], { ignore: ['owner'] })).toBeUndefined()
  })
})
