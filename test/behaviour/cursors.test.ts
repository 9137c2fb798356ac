import { memoryStore, type StreamItem, type TaskStore } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { collect, setup, type Harness } from '../support/setup.ts'
import { cursorOf, placesOf, typesOf } from '../support/stream-views.ts'

/** Three tasks of ann, each with one event of its own, all ended; and everything her feed has to say of them. */
async function threeEnded(harness: Harness): Promise<StreamItem[]> {
  const { ann, bob, settle } = harness
  const work = controllableTool('work')
  for (const session of [ann, bob, ann, ann]) await session.spawn(work.tool)
  await settle()
  for (const call of work.calls) call.ctx.emit('found')
  for (const call of work.calls) call.resolve(1)
  await settle()
  const all = collect(ann.events())
  await settle()
  expect(all.items).toHaveLength(12)
  return all.items
}

test('a cursor of any event of the owner resumes exactly after it', async () => {
  const harness = setup()
  const all = await threeEnded(harness)
  for (const [index, item] of all.entries()) {
    const rest = collect(harness.ann.events({ after: cursorOf(item) }))
    await harness.settle()
    expect(rest.items, `after event ${index}`).toEqual(all.slice(index + 1))
  }
})

test('a cursor after the last event waits for what comes', async () => {
  const harness = setup()
  const all = await threeEnded(harness)
  const rest = collect(harness.ann.events({ after: cursorOf(all.at(-1)) }))
  await harness.settle()
  expect(rest.items).toEqual([])
  await harness.ann.spawn(() => 'new')
  await harness.settle()
  expect(typesOf(rest.items)).toEqual(['queued', 'started', 'completed'])
})

test('one task resumes after a number or a cursor: from 0, the middle, the last, and beyond', async () => {
  const { ann, settle } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool)
  work.call(0).ctx.emit('found')
  await settle()
  const live = collect(task.events())
  await settle()
  const middle = cursorOf(live.items[1])
  const last = cursorOf(live.items[2])
  const resumed = { zero: collect(task.events({ after: 0 })), one: collect(task.events({ after: 1 })) }
  const byCursor = { middle: collect(task.events({ after: middle })), last: collect(task.events({ after: last })) }
  const beyond = collect(task.events({ after: 4 }))
  await settle()
  expect(placesOf(resumed.zero.items)).toEqual(['task-1:1', 'task-1:2', 'task-1:3'])
  expect(placesOf(resumed.one.items)).toEqual(['task-1:2', 'task-1:3'])
  expect(placesOf(byCursor.middle.items)).toEqual(['task-1:3'])
  expect(placesOf(byCursor.last.items)).toEqual([])
  work.call(0).ctx.emit('more')
  await settle()
  expect(placesOf(byCursor.last.items)).toEqual(['task-1:4'])
  expect(beyond.items).toEqual([])
  work.call(0).resolve(1)
  for (const { ended } of [...Object.values(resumed), ...Object.values(byCursor), beyond])
    expect(await ended).toBeUndefined()
  expect(placesOf(beyond.items)).toEqual(['task-1:5'])
})

test('a cursor from the feed of the owner resumes the stream of its task, and the other way round', async () => {
  const harness = setup()
  const all = await threeEnded(harness)
  const started = all.find((item) => item.type === 'task.started' && item.taskId === 'task-3')
  const ofTask = collect(harness.ann.events({ taskId: 'task-3', after: cursorOf(started) }))
  expect(await ofTask.ended).toBeUndefined()
  expect(placesOf(ofTask.items)).toEqual(['task-3:3', 'task-3:4'])
  const ofOwner = collect(harness.ann.events({ after: cursorOf(ofTask.items[0]) }))
  await harness.settle()
  const at = all.findIndex((item) => item.type === 'task.custom' && item.taskId === 'task-3')
  expect(ofOwner.items).toEqual(all.slice(at + 1))
})

test('the operator resumes over all owners with the cursor of any event', async () => {
  const harness = setup()
  await threeEnded(harness)
  const { tasks, settle } = harness
  const all = collect(tasks.operator.events())
  await settle()
  expect(all.items).toHaveLength(16)
  for (const index of [0, 7, 15]) {
    const rest = collect(tasks.operator.events({ after: cursorOf(all.items[index]) }))
    await settle()
    expect(rest.items).toEqual(all.items.slice(index + 1))
  }
})

test('a cursor of another owner or another task is refused', async () => {
  const harness = setup()
  const all = await threeEnded(harness)
  const { ann, bob } = harness
  const cursor = cursorOf(all[0])
  const refusal: unknown = expect.objectContaining({ code: 'invalid_cursor' })
  expect(() => bob.events({ after: cursor })).toThrow(refusal as Error)
  expect(() => bob.events$({ after: cursor })).toThrow(refusal as Error)
  expect(() => ann.events({ taskId: 'task-3', after: cursor })).toThrow(refusal as Error)
  expect(() => ann.handle('task-4').events({ after: cursor })).toThrow(refusal as Error)
})

test('a cursor that was changed in any character, cut or extended is refused', async () => {
  const harness = setup()
  const all = await threeEnded(harness)
  const cursor = cursorOf(all[5])
  const bent = [
    '',
    'x',
    'now ',
    cursor.slice(1),
    cursor.slice(0, -1),
    `${cursor}0`,
    `${cursor}.0`,
    `0${cursor}`,
    cursor.toUpperCase(),
    ...cursor
      .split('')
      .map((character, index) => cursor.slice(0, index) + (character === 'a' ? 'b' : 'a') + cursor.slice(index + 1)),
  ].filter((text) => text !== cursor)
  expect(bent.length).toBeGreaterThan(40)
  for (const after of bent) {
    expect(() => harness.ann.events({ after }), after).toThrow(
      expect.objectContaining({ code: 'invalid_cursor' }) as Error,
    )
  }
})

test('a cursor of an earlier log starts anew: it is said, then everything comes', async () => {
  const first = setup()
  const old = await threeEnded(first)
  const second = setup({ store: memoryStore() })
  const now = await threeEnded(second)
  const again = collect(second.ann.events({ after: cursorOf(old[5]) }))
  const one = collect(second.ann.events({ taskId: 'task-1', after: cursorOf(old[0]) }))
  await second.settle()
  expect(again.items[0]).toEqual({ type: 'stream.reset' })
  expect(again.items.slice(1)).toEqual(now)
  expect(typesOf(one.items)).toEqual(['stream.reset', 'queued', 'started', 'found', 'completed'])
  const pushed: StreamItem[] = []
  second.ann.events$({ after: cursorOf(old[5]) }).subscribe((item) => void pushed.push(item))
  await second.settle()
  expect(pushed).toEqual(again.items)
})

test('a cursor goes on over a second supervisor on the same log', async () => {
  const store: TaskStore = memoryStore()
  const first = setup({ store })
  const all = await threeEnded(first)
  const second = setup({ store })
  const rest = collect(second.ann.events({ after: cursorOf(all[7]) }))
  await second.settle()
  expect(rest.items).toEqual(all.slice(8))
})

test('two resumes with one cursor at once are complete and equal', async () => {
  const harness = setup()
  const all = await threeEnded(harness)
  const { ann, settle } = harness
  const work = controllableTool('work')
  const after = cursorOf(all[3])
  const one = collect(ann.events({ after }))
  const two = collect(ann.events({ after }))
  const task = await ann.spawn(work.tool)
  work.call(0).ctx.emit('while both catch up')
  work.call(0).resolve(1)
  await task.wait()
  await settle()
  const whole = collect(ann.events())
  await settle()
  expect(one.items).toEqual(whole.items.slice(4))
  expect(two.items).toEqual(one.items)
})

test('a cursor of an owner does not tell how busy other owners are, and resumes nothing but their own streams', async () => {
  const { ann, bob, tasks, settle } = setup()
  const cursorsOf = async (others: number): Promise<string[]> => {
    for (let n = 0; n < others; n += 1) await (await bob.spawn(async () => n, undefined)).result()
    const task = await ann.spawn(async () => 1, undefined)
    await task.wait()
    const { items, ended } = collect(task.events())
    await ended
    return items.flatMap((item) =>
      'cursor' in item && item.cursor !== undefined ? [item.cursor.split('.')[3] ?? ''] : [],
    )
  }
  expect(new Set([...(await cursorsOf(0)), ...(await cursorsOf(5))])).toEqual(new Set(['-']))
  const whole = collect(ann.events())
  await settle()
  const [first] = whole.items
  const cursor = first !== undefined && 'cursor' in first ? first.cursor : undefined
  expect(() => tasks.operator.events({ after: cursor ?? '' })).toThrow(
    expect.objectContaining({ code: 'invalid_cursor' }),
  )
})
