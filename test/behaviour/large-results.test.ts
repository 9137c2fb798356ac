import { callbackChannel } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { describe, expect, test, vi } from 'vitest'
import { setup, watch } from '../support/setup.ts'

const MB = 1024 * 1024
const hugeText = 'x'.repeat(100 * MB)
const hugeBytes = Buffer.alloc(100 * MB)
const hugeList = Array.from({ length: 1_000 }, () => hugeText)

function peakMb(): number {
  return process.resourceUsage().maxRSS / 1024
}

test('a hundred results of a hundred megabytes fail their tasks, and none of them is written out', async () => {
  const { ann, settle } = setup()
  const before = peakMb()
  const values = [hugeText, { text: hugeText }, [{ file: hugeBytes }], hugeBytes, { list: hugeList }]
  const handles = await Promise.all(
    Array.from({ length: 100 }, (_, index) => ann.spawn(() => values[index % values.length], undefined)),
  )
  await settle()
  const records = await ann.waitAll(handles.map(({ taskId }) => taskId))
  for (const record of records) {
    expect(record).toMatchObject({ status: 'failed', failure: { code: 'result_too_large', retryable: false } })
    expect(record).not.toHaveProperty('resultBytes')
  }
  // One of them alone would take a hundred: twice that as JSON, eight times that as a list of numbers.
  expect(peakMb() - before).toBeLessThan(90)
})

test('nothing of a value that comes after what is too large is touched', async () => {
  const { ann } = setup()
  const late = vi.fn<() => number>(() => 1)
  const value = {
    huge: hugeText,
    told: { toJSON: late },
    inner: Object.defineProperty({}, 'a', { enumerable: true, get: late }),
  }
  const task = await ann.spawn(() => value, undefined)
  await expect(task.result()).rejects.toMatchObject({
    failure: { code: 'result_too_large', message: expect.stringContaining('524288 are kept at most') as string },
  })
  expect(late).not.toHaveBeenCalled()
})

test('what a stopped task returns is left out when it is too large, and changes no outcome', async () => {
  const { ann } = setup()
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined)
  const cancelled = task.cancel()
  work.call(0).resolve(hugeText)
  await cancelled
  const record = await task.record()
  expect(record).toMatchObject({ status: 'cancelled' })
  expect(record).not.toHaveProperty('partial')
  expect(record).not.toHaveProperty('resultBytes')
})

test('the caller who waits inline gets a value of any size, and the very same', async () => {
  const { ann } = setup()
  const value = { hugeText, hugeBytes }
  const outcome = await ann.run(() => value, undefined)
  expect(outcome.kind === 'inline' && outcome.value === value).toBe(true)
})

test('a record says how large its result is, and nothing where there is none', async () => {
  const { ann, bob } = setup()
  const task = await ann.spawn(() => 'é', undefined)
  expect(await task.wait()).toMatchObject({ resultBytes: 4 })
  expect((await ann.list()).tasks).toMatchObject([{ resultBytes: 4 }])
  expect(await task.record()).not.toHaveProperty('truncated')
  const none = await bob.spawn(() => undefined, undefined)
  expect(await none.wait()).not.toHaveProperty('resultBytes')
})

describe("oversizeResult: 'truncate'", () => {
  const retention = { maxResultBytes: 100, oversizeResult: 'truncate' } as const

  test('a text that is too large is kept cut, with a mark that says how much was left out, and the record says so', async () => {
    const { ann } = setup({ retention })
    const task = await ann.spawn(() => 'owl '.repeat(1_000), undefined)
    const kept = (await task.result()) as string
    expect(kept).toMatch(/^(owl )+o?w?l?… \[39\d\d characters left out\]$/)
    expect(Buffer.byteLength(JSON.stringify(kept))).toBe(100)
    expect(await task.record()).toMatchObject({ status: 'completed', resultBytes: 100, truncated: true })
    expect(await task.attach()).toMatchObject({ kind: 'inline', value: kept })
  })

  test('a text that fits is kept whole', async () => {
    const { ann } = setup({ retention })
    const task = await ann.spawn(() => 'x'.repeat(98), undefined)
    expect(await task.result()).toBe('x'.repeat(98))
    expect(await task.record()).not.toHaveProperty('truncated')
  })

  test('no character is torn apart, wherever the cut falls', async () => {
    const { ann } = setup({ retention })
    for (let shift = 0; shift < 4; shift += 1) {
      const whole = 'a'.repeat(shift) + '😀'.repeat(500)
      const kept = (await (await ann.spawn(() => whole, undefined)).result()) as string
      expect(kept).toMatch(/^a*(😀)+… \[\d+ characters left out\]$/u)
    }
  })

  test('the caller who waits inline gets the whole text, and later readers the cut one', async () => {
    const { ann, settle } = setup({ retention })
    const whole = 'x'.repeat(1_000)
    const outcome = await ann.run(() => whole, undefined, { durable: true })
    expect(outcome).toMatchObject({ kind: 'inline', value: whole })
    expect(await ann.result('task-1')).toMatch(/characters left out\]$/)
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    const attached = watch(task.attach())
    await Promise.resolve()
    work.call(0).resolve(whole)
    await task.wait()
    await settle()
    expect(attached.value).toMatchObject({ kind: 'inline', value: whole })
  })

  test('a delivery has the cut text with its mark', async () => {
    const sent: string[] = []
    const { tasks, ann, settle } = setup({
      retention,
      channels: { home: callbackChannel(({ message }) => void sent.push(message.text)) },
    })
    await ann.spawn(() => 'x'.repeat(1_000), undefined, { deliverTo: 'home' })
    await settle()
    expect(sent).toEqual([expect.stringContaining('characters left out]')])
    expect((await tasks.operator.get('task-1'))?.truncated).toBe(true)
  })

  test('what a stopped task returns is cut like any other', async () => {
    const { ann } = setup({ retention })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    const cancelled = task.cancel()
    work.call(0).resolve('x'.repeat(1_000))
    await cancelled
    expect(await task.record()).toMatchObject({
      status: 'cancelled',
      truncated: true,
      partial: expect.stringMatching(/^x+… \[9\d\d characters left out\]$/) as string,
    })
  })

  test.each<readonly [string, unknown]>([
    ['an object', { text: 'x'.repeat(1_000) }],
    ['a list', ['x'.repeat(1_000)]],
    ['a toJSON that tells a text', { toJSON: () => 'x'.repeat(1_000) }],
    ['a String object', Object('x'.repeat(1_000))],
  ])('a result that is %s fails, and the failure says why it was not cut', async (_what, value) => {
    const { ann } = setup({ retention })
    const task = await ann.spawn(() => value, undefined)
    await expect(task.result()).rejects.toMatchObject({
      failure: { code: 'result_too_large', message: expect.stringMatching(/only a string can be cut/) as string },
    })
  })

  test('a text fails where not even its mark would fit', async () => {
    const { ann } = setup({ retention: { maxResultBytes: 10, oversizeResult: 'truncate' } })
    const task = await ann.spawn(() => 'x'.repeat(1_000), undefined)
    await expect(task.result()).rejects.toMatchObject({ failure: { code: 'result_too_large' } })
  })

  test('a text of a hundred megabytes is cut to what is kept by default', async () => {
    const { ann } = setup({ retention: { oversizeResult: 'truncate' } })
    const task = await ann.spawn(() => hugeText, undefined)
    expect(await task.wait()).toMatchObject({ status: 'completed', truncated: true, resultBytes: 512 * 1024 })
  })
})
