import { Writable } from 'node:stream'
import {
  consoleChannel,
  createTaskSupervisor,
  type Channel,
  type ConsoleChannelOptions,
  type ConsoleStream,
} from 'outlive'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { messagesOnPage } from '../support/channels-under-test.ts'
import { fc } from '../support/properties.ts'
import { sendTo } from '../support/sends.ts'

interface Page {
  readonly channel: Channel
  readonly printed: () => string
  readonly stream: ConsoleStream
}

function open(fields: { readonly isTTY?: boolean } = {}): Page {
  let printed = ''
  const stream = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        printed += chunk.toString()
        done()
      },
    }),
    fields,
  )
  return { channel: consoleChannel({ stream }), printed: () => printed, stream }
}

describe('the console', () => {
  test('shows a title that names the task, and the text with a margin', async () => {
    const { channel, printed } = open()
    await sendTo(channel, '', { kind: 'start', text: 'it has begun' })
    await sendTo(channel, '', { text: '# Tides\n\n```\nhigh\tat 6\n```', part: 1, parts: 2 })
    await sendTo(channel, '', { text: 'the rest', part: 2, parts: 2 })
    expect(printed()).toBe(
      [
        '── task task-1 · start ──',
        '  it has begun',
        '── task task-1 · end (1 of 2) ──',
        '  # Tides',
        '',
        '  ```',
        '  high\tat 6',
        '  ```',
        '── task task-1 · end (2 of 2) ──',
        '  the rest',
        '',
      ].join('\n'),
    )
  })

  test('writes a message in one piece', async () => {
    const writes: string[] = []
    const stream: ConsoleStream = { write: (text, done) => (writes.push(text), done()) }
    await sendTo(consoleChannel({ stream }), '', { text: 'one\ntwo' })
    expect(writes).toEqual(['── task task-1 · end ──\n  one\n  two\n'])
  })

  test.each([
    ['colours', 'a \u001b[31mred\u001b[0m b', 'a red b'],
    ['a cleared screen', 'a\u001b[2J\u001b[Hb', 'ab'],
    ['a new window title', 'a\u001b]0;owned\u0007b', 'ab'],
    ['a link', 'a\u001b]8;;https://evil.test\u001b\\b', 'ab'],
    ['codes of one character', 'a\u009b31mb\u0090c', 'abc'],
    ['codes that are made of codes', 'a\u001b\u001b[0m[31mb', 'a[31mb'],
    ['bells, backspaces and zero bytes', 'a\u0007b\u0008\u0000c\u007f', 'abc'],
    ['a line that is drawn over', 'safe\rowned', 'safe\n  owned'],
    ['turned text', 'a\u202eb\u2066c', 'abc'],
  ])('%s in a text do nothing', async (_title, text, shown) => {
    const { channel, printed } = open({ isTTY: true })
    vi.stubEnv('NO_COLOR', '1')
    onTestFinished(() => void vi.unstubAllEnvs())
    await sendTo(channel, '', { text })
    expect(printed()).toBe(`── task task-1 · end ──\n  ${shown}\n`)
  })

  test.each(['\n', '\r\n', '\r', '\u0085', '\u2028', '\u2029', '\u000b\n'])(
    'a text cannot forge a title after a line break %j',
    async (lineBreak) => {
      const { channel, printed } = open()
      await sendTo(channel, '', { text: `mine${lineBreak}── task task-9 · end ──${lineBreak}forged` })
      expect(printed().match(/^──/gm)).toHaveLength(1)
      expect(messagesOnPage(printed())).toHaveLength(1)
    },
  )

  test('an id cannot forge a title', async () => {
    const { channel, printed } = open()
    await sendTo(channel, '', { taskId: 'a\n── task b\u001b[31m' })
    expect(printed().split('\n')[0]).toBe('── task a ── task b · end ──')
  })

  test('whatever the text is, what is printed is one message without anything that a terminal obeys', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    const codes = fc.constantFrom(
      '\u001b',
      '\u001b[',
      '\u001b]',
      '\u009b',
      '\u0007',
      '\n',
      '\r',
      '── task x · end ──',
      'm',
      '0;',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(text, codes), { maxLength: 30 }), async (parts) => {
        const { channel, printed } = open()
        await sendTo(channel, '', { text: parts.join('') })
        expect(printed()).not.toMatch(
          /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/u,
        )
        expect(messagesOnPage(printed())).toHaveLength(1)
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    [{ isTTY: true }, '', true],
    [{ isTTY: true }, '1', false],
    [{ isTTY: false }, '', false],
    [{}, '', false],
  ])('with %j and NO_COLOR=%j the title is dim: %s', async (fields, noColor, isDim) => {
    vi.stubEnv('NO_COLOR', noColor)
    onTestFinished(() => void vi.unstubAllEnvs())
    const { channel, printed } = open(fields)
    await sendTo(channel, '', { text: 'text' })
    const title = '── task task-1 · end ──'
    expect(printed()).toBe(`${isDim ? `\u001b[2m${title}\u001b[0m` : title}\n  text\n`)
  })

  test('prints to the standard output by default', async () => {
    const stdout: ConsoleStream = process.stdout
    const write = vi.spyOn(stdout, 'write').mockImplementation((_text, done) => done())
    await sendTo(consoleChannel(), '')
    expect(write.mock.calls.map(([text]) => text)).toEqual([expect.stringContaining('the result')])
    write.mockRestore()
  })

  test('rejects with what the stream fails with, and the process goes on', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
    const channel = consoleChannel({ stream })
    await expect(sendTo(channel, '')).rejects.toThrow('EPIPE')
    await expect(sendTo(channel, '')).rejects.toThrow('destroyed')
    await new Promise((resolve) => setImmediate(resolve))
    expect(stream.listenerCount('error')).toBe(0)
  })

  test('gives up a stream that takes nothing when its signal aborts', async () => {
    const stream: ConsoleStream = { write: () => undefined }
    const controller = new AbortController()
    const send = sendTo(consoleChannel({ stream }), '', {}, controller.signal)
    controller.abort(new Error('the time is up'))
    await expect(send).rejects.toThrow('the time is up')
  })

  test('listens to its stream once, however much is under way', async () => {
    const waiting: (() => void)[] = []
    const stream = new Writable({ write: (_chunk, _encoding, done) => void waiting.push(done) })
    const channel = consoleChannel({ stream })
    const sends = Array.from({ length: 30 }, (_, index) => sendTo(channel, '', { text: `${index}` }))
    expect(stream.listenerCount('error')).toBe(1)
    while (waiting.length > 0) {
      waiting.pop()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(sends)
    await new Promise((resolve) => setImmediate(resolve))
    expect(stream.listenerCount('error')).toBe(0)
  })

  test('is where a task is told of, by the name of its channel alone', async () => {
    const { channel, printed } = open()
    const tasks = createTaskSupervisor({ channels: { console: channel }, deliverTo: ['console'] })
    onTestFinished(async () => void (await tasks.shutdown()))
    const task = await tasks.session({ owner: 'ann' }).spawn(async () => 'the value', undefined)
    await expect(task.redirect('console:elsewhere')).rejects.toMatchObject({ code: 'target_invalid' })
    await task.wait()
    await expect.poll(printed).toContain('the value')
  })

  test('takes a stream, and no other options', () => {
    expect(() => consoleChannel({ stream: {} as ConsoleStream })).toThrow('stream must be a stream')
    const odd = { colour: true } as ConsoleChannelOptions
    expect(() => consoleChannel(odd)).toThrow('options has no option "colour"')
  })
})
