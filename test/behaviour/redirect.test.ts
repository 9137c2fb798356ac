import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { callbackChannel, createTaskSupervisor, fileChannel, type Channel, type ChannelSend } from 'outlive'
import { controllableTool, passTurns } from 'outlive/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { setupHeld } from '../support/held-store.ts'
import { setup, watch } from '../support/setup.ts'

/** Channels `home` and `away` that note where each message went. */
function setupWithChannels(options: Parameters<typeof setup>[0] = {}) {
  const sent: ChannelSend[] = []
  const note = callbackChannel((send) => void sent.push(send))
  const places = (): string[] =>
    sent.map(({ target }) => (target.id === '' ? target.channel : `${target.channel}:${target.id}`))
  return { sent, places, ...setup({ channels: { home: note, away: note }, ...options }) }
}

describe('redirect', () => {
  test('a redirect before the end moves the result from the default to its target, once', async () => {
    const { ann, settle, places, sent } = setupWithChannels({ deliverTo: 'home' })
    const work = controllableTool<undefined, string>('work')
    const task = await ann.spawn(work.tool, undefined)
    await task.redirect('away:room-1')
    work.call(0).resolve('the result')
    await settle()
    expect(places()).toEqual(['away:room-1'])
    expect(sent[0]?.message).toMatchObject({ kind: 'end', part: 1, parts: 1, taskId: task.taskId })
    expect(sent[0]?.message.text).toContain('the result')
    expect(await ann.deliveries(task.taskId)).toMatchObject([
      { target: 'away:room-1', state: 'delivered', taskId: task.taskId },
    ])
  })

  test('a redirect detaches the waiting caller, whose ticket names the target', async () => {
    const { ann, settle, places } = setupWithChannels()
    const work = controllableTool<undefined, string>('work')
    const call = watch(ann.run(work.tool, undefined))
    await settle()
    await ann.redirect('task-1', ' AWAY : room 7 ')
    await settle()
    expect(call.value).toMatchObject({ kind: 'background', ticket: { target: 'away:room 7' } })
    expect(call.value?.kind === 'background' && call.value.ticket.text).toContain('away:room 7')
    work.call(0).resolve('done')
    await settle()
    expect(places()).toEqual(['away:room 7'])
  })

  test('the last of several redirects before the end is where the result goes', async () => {
    const { ann, settle, places } = setupWithChannels()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    await task.redirect('away:1')
    await task.redirect('away:2')
    await task.redirect('away:2')
    work.call(0).resolve(1)
    await settle()
    expect(places()).toEqual(['away:2'])
    expect(await task.record()).toMatchObject({ targets: ['away:2'] })
  })

  test('a redirect after the end delivers once more, and once per target', async () => {
    const { ann, settle, places } = setupWithChannels({ deliverTo: 'home' })
    const task = await ann.spawn(() => 'value', undefined)
    await task.wait()
    await task.redirect('away')
    await task.redirect('AWAY')
    await task.redirect('home')
    await settle()
    expect(places()).toEqual(['home', 'away'])
    expect(await task.record()).toMatchObject({ status: 'completed', targets: ['home', 'away'] })
  })

  test('many redirects of a final task to one target at once deliver once', async () => {
    const { ann, settle, places } = setupWithChannels()
    const task = await ann.spawn(() => 'value', undefined)
    await task.wait()
    await Promise.all(Array.from({ length: 5 }, () => task.redirect('away:1')))
    await settle()
    expect(places()).toEqual(['away:1'])
  })

  test('a redirect while the end is on its way to the store is delivered, and the end stays last in the log', async () => {
    const sent: string[] = []
    const channels = { away: callbackChannel(({ message }) => void sent.push(message.taskId)) }
    const { ann, store, open, hold, release } = setupHeld({ channels })
    await open()
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined)
    hold()
    work.call(0).resolve(1)
    await passTurns(2)
    const redirected = watch(task.redirect('away'))
    await release()
    expect(redirected.state).toBe('resolved')
    expect(sent).toEqual([task.taskId])
    const events = await store.readEvents({ taskId: task.taskId, afterSeq: 0, limit: 100 })
    expect(events.map(({ event }) => event.type)).toEqual(['task.queued', 'task.started', 'task.completed'])
  })

  test.each(['', 'nowhere', ':1', 'nowhere:1', 'away\u0000', 5, null, undefined, 'x'.repeat(600)])(
    'a redirect to %o is refused and changes nothing, before and after the end',
    async (target) => {
      const { ann, settle, places } = setupWithChannels({ deliverTo: 'home' })
      const work = controllableTool('work')
      const task = await ann.spawn(work.tool, undefined)
      await expect(task.redirect(target as string)).rejects.toMatchObject({ code: 'target_invalid' })
      work.call(0).resolve(1)
      await task.wait()
      await expect(task.redirect(target as string)).rejects.toMatchObject({ code: 'target_invalid' })
      await settle()
      expect(places()).toEqual(['home'])
    },
  )

  test('a redirect of an unknown or foreign task is not found, whatever the target', async () => {
    const { ann, bob } = setupWithChannels()
    const task = await bob.spawn(() => 1, undefined)
    const notFound = { code: 'task_not_found' }
    await expect(ann.redirect(task.taskId, 'away')).rejects.toMatchObject(notFound)
    await expect(ann.redirect('unknown', 'away')).rejects.toMatchObject(notFound)
    await expect(ann.redirect('unknown', 'nowhere')).rejects.toMatchObject(notFound)
  })

  test('failed and cancelled tasks are delivered too, with their state and without a stack', async () => {
    const { ann, settle, sent } = setupWithChannels({ deliverTo: 'home' })
    await ann.spawn(() => Promise.reject(new Error('went wrong')), undefined)
    const work = controllableTool('work', { honoursSignal: true })
    const stopped = await ann.spawn(work.tool, undefined)
    await stopped.cancel({ note: 'no longer needed' })
    await settle()
    const texts = sent.map(({ message }) => message.text)
    expect(texts.some((text) => text.includes('failed') && text.includes('went wrong'))).toBe(true)
    expect(texts.some((text) => text.includes('cancelled') && text.includes('no longer needed'))).toBe(true)
    expect(texts.join()).not.toContain('.test.ts')
  })

  test('nothing in a result closes the fence it stands in', async () => {
    const { ann, settle, sent } = setupWithChannels({ deliverTo: 'home' })
    await ann.spawn(() => 'before\n````\nafter', undefined)
    await settle()
    const text = sent[0]?.message.text ?? ''
    expect(text).toContain('`````\nbefore\n````\nafter\n`````')
  })
})

describe('where results go', () => {
  test('to the explicit target, else to the origin, else to every default', async () => {
    const { tasks, settle, places } = setupWithChannels({ deliverTo: ['home:1', 'home:2'] })
    const plain = tasks.session({ owner: 'ann' })
    const placed = tasks.session({ owner: 'ann', origin: 'Away:c-1' })
    await plain.spawn(() => 1, undefined)
    await settle()
    expect(places().toSorted()).toEqual(['home:1', 'home:2'])
    await placed.spawn(() => 1, undefined)
    await settle()
    expect(places().slice(2)).toEqual(['away:c-1'])
    await placed.spawn(() => 1, undefined, { deliverTo: ['home:9', 'home:9', 'away'] })
    await settle()
    expect(places().slice(3).toSorted()).toEqual(['away', 'home:9'])
  })

  test('what a reader does to the targets of a record moves no delivery', async () => {
    const { tasks, settle, places } = setupWithChannels()
    for (const ann of [tasks.session({ owner: 'ann' }), tasks.session({ owner: 'ann', origin: 'home' })]) {
      const task = await ann.spawn(() => 1, undefined)
      const { targets } = await task.record()
      expect(() => (targets as string[]).push('away')).toThrow(TypeError)
      await ann.spawn(() => 2, undefined)
    }
    await settle()
    expect(places()).toEqual(['home', 'home'])
  })

  test('nowhere when deliverTo is empty', async () => {
    const { tasks, settle, places } = setupWithChannels({ deliverTo: 'home' })
    const ann = tasks.session({ owner: 'ann', origin: 'away' })
    const task = await ann.spawn(() => 1, undefined, { deliverTo: [] })
    await settle()
    expect(places()).toEqual([])
    expect(await ann.deliveries(task.taskId)).toEqual([])
    expect(await task.record()).toMatchObject({ targets: [], origin: 'away' })
  })

  test('nowhere for a call that answers inline, even with an explicit target', async () => {
    const { ann, settle, places } = setupWithChannels({ deliverTo: 'home' })
    expect(await ann.run(() => 'v', undefined, { deliverTo: 'away', durable: true })).toMatchObject({ kind: 'inline' })
    await settle()
    expect(places()).toEqual([])
  })

  test('children go nowhere by default, and to their own target when they have one', async () => {
    const { tasks, settle, places } = setupWithChannels({ deliverTo: 'home' })
    const ann = tasks.session({ owner: 'ann', origin: 'away:origin' })
    const parent = await ann.spawn(async (_input: undefined, ctx) => {
      await ctx.spawn(() => 'silent', undefined)
      await ctx.spawn(() => 'told', undefined, { deliverTo: 'home:child' })
    }, undefined)
    await parent.wait()
    await settle()
    expect(places().sort()).toEqual(['away:origin', 'home:child'])
  })

  test('a child that goes on as a tree of its own still goes nowhere by default', async () => {
    const { ann, settle, places } = setupWithChannels({ deliverTo: 'home' })
    const work = controllableTool('work', { policy: { onParentEnd: 'detach' } })
    const parent = await ann.spawn(
      async (_input: undefined, ctx) => void (await ctx.spawn(work.tool, undefined)),
      undefined,
    )
    await parent.wait()
    work.call(0).resolve('orphan')
    await settle()
    expect(places()).toEqual(['home'])
  })

  test.each([['nowhere'], ['away:1', 'nowhere'], [5], [null]])(
    'a call whose deliverTo is %o is refused and starts nothing',
    async (...deliverTo) => {
      const { ann } = setupWithChannels()
      const work = controllableTool('work')
      const options = { deliverTo: deliverTo as string[] }
      await expect(ann.spawn(work.tool, undefined, options)).rejects.toMatchObject({ code: 'target_invalid' })
      await expect(ann.run(work.tool, undefined, options)).rejects.toMatchObject({ code: 'target_invalid' })
      expect(work.calls).toHaveLength(0)
      expect((await ann.stats()).live).toBe(0)
    },
  )

  test('a supervisor with channels takes no calls without an owner', async () => {
    const { tasks } = setupWithChannels()
    await expect(tasks.run(() => 1, undefined)).rejects.toMatchObject({ code: 'not_allowed' })
    await expect(tasks.list()).rejects.toMatchObject({ code: 'not_allowed' })
    expect(() => tasks.events()).toThrow('An owner is needed here')
  })
})

const unreadable = new Proxy(new Error('x'), {
  get: () => {
    throw new Error('no')
  },
})

const FAILING: readonly (readonly [string, () => void | Promise<void>, string])[] = [
  [
    'throws',
    () => {
      throw new Error('down')
    },
    'down',
  ],
  ['rejects', () => Promise.reject(new Error('down')), 'down'],
  ['rejects with nothing', () => Promise.reject(undefined as unknown as Error), 'undefined'],
  [
    'rejects with an object that cannot be shown',
    () => Promise.reject(Object.create(null) as Error),
    'a value that cannot be shown',
  ],
  [
    'rejects with an error that throws at every touch',
    () => Promise.reject(unreadable),
    'a value that cannot be shown',
  ],
  [
    'rejects with an error whose message is no text',
    () => Promise.reject(Object.assign(new Error('x'), { message: 7 })),
    '7',
  ],
]

describe('a channel that fails', () => {
  test.each(FAILING)(
    'a channel that %s gets its delivery again later, is logged, and nothing else is affected',
    async (_how, send, error) => {
      const sent: string[] = []
      const channels: Record<string, Channel> = {
        broken: { send },
        fine: callbackChannel(({ message }) => void sent.push(message.taskId)),
      }
      const { ann, settle, logged } = setup({ channels, deliverTo: ['broken:1', 'fine'] })
      const task = await ann.spawn(() => 'value', undefined)
      expect(await task.result()).toBe('value')
      await settle()
      expect(await ann.deliveries(task.taskId)).toMatchObject([
        { target: 'broken:1', state: 'pending', attempts: 1, failure: { code: 'channel_error', message: error } },
        { target: 'fine', state: 'delivered' },
      ])
      expect(sent).toEqual([task.taskId])
      expect(logged).toMatchObject([{ level: 'warn', fields: { taskId: task.taskId, target: 'broken:1', error } }])
      expect(await task.record()).toMatchObject({ status: 'completed' })
    },
  )

  test('a channel that never answers is given up after its limit, with its signal aborted', async () => {
    const signals: AbortSignal[] = []
    const channels: Record<string, Channel> = {
      silent: {
        send: ({ signal }) => {
          signals.push(signal)
          return new Promise(() => undefined)
        },
      },
    }
    const { ann, advance } = setup({ channels, deliverTo: 'silent' })
    const task = await ann.spawn(() => 1, undefined)
    await advance(29_999)
    expect(await ann.deliveries(task.taskId)).toMatchObject([{ state: 'pending', attempts: 0 }])
    await advance(1)
    expect(await ann.deliveries(task.taskId)).toMatchObject([{ attempts: 1, failure: { code: 'timeout' } }])
    expect(signals[0]?.aborted).toBe(true)
  })

  test('what a channel spawns is no child of the task it delivers', async () => {
    const { tasks, ann, settle } = setupWithChannels({
      channels: {
        relay: callbackChannel(
          async () =>
            void (await tasks.session({ owner: 'ann' }).spawn(() => 2, undefined, { name: 'relayed', deliverTo: [] })),
        ),
      },
    })
    await ann.spawn(() => 1, undefined, { deliverTo: 'relay' })
    await settle()
    expect((await ann.list({ name: 'relayed' })).tasks).toMatchObject([{ depth: 0 }])
  })
})

async function setupFiles() {
  const folder = join(await mkdtemp(join(tmpdir(), 'outlive-')), 'results')
  onTestFinished(() => rm(dirname(folder), { recursive: true, force: true }))
  return { folder, ...setup({ channels: { file: fileChannel({ folder }) } }) }
}

describe('fileChannel', () => {
  test('appends each result to the file it was sent to', async () => {
    const { ann, tasks, folder } = await setupFiles()
    const first = await ann.spawn(() => 'first', undefined, { deliverTo: 'file:Report.md' })
    await first.wait()
    await until(async () => (await ann.deliveries(first.taskId))[0]?.state === 'delivered')
    const second = await ann.spawn(() => 'second', undefined, { deliverTo: 'file:Report.md' })
    await second.wait()
    await until(async () => (await ann.deliveries(second.taskId))[0]?.state === 'delivered')
    const text = await readFile(join(folder, 'Report.md'), 'utf8')
    expect(text.indexOf('first')).toBeGreaterThan(-1)
    expect(text.indexOf('second')).toBeGreaterThan(text.indexOf('first'))
    expect(tasks).toBeDefined()
  })

  test.each([
    '',
    '.',
    '..',
    '../x',
    'a/b',
    '/etc/passwd',
    'a\\b',
    '.hidden',
    'a\nb',
    'C:x',
    '%2e%2e',
    'x'.repeat(201),
    '..\u0000',
  ])('refuses the id %o when the target is set, and writes nothing', async (id) => {
    const { ann, folder } = await setupFiles()
    const task = await ann.spawn(() => 1, undefined)
    await expect(task.redirect(`file:${id}`)).rejects.toMatchObject({ code: 'target_invalid' })
    await expect(ann.spawn(() => 1, undefined, { deliverTo: `file:${id}` })).rejects.toMatchObject({
      code: 'target_invalid',
    })
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a folder that cannot be made delays the delivery and nothing else', async () => {
    const { folder } = await setupFiles()
    const channels = { file: fileChannel({ folder: join('/dev/null', folder) }) }
    const { ann, settle } = setup({ channels })
    const task = await ann.spawn(() => 1, undefined, { deliverTo: 'file:a.txt' })
    await task.wait()
    await until(async () => (await ann.deliveries(task.taskId))[0]?.attempts === 1)
    await settle()
    expect(await task.result()).toBe(1)
  })
})

test('a shutdown waits for deliveries that are on their way', async () => {
  const delivered: string[] = []
  let arrive: (() => void) | undefined
  const tasks = createTaskSupervisor({
    channels: {
      slow: callbackChannel(async ({ message }) => {
        await new Promise<void>((resolve) => (arrive = resolve))
        delivered.push(message.taskId)
      }),
    },
    deliverTo: 'slow',
  })
  const task = await tasks.session({ owner: 'ann' }).spawn(() => 1, undefined)
  await task.wait()
  const closing = watch(tasks.shutdown({ graceMs: 1 }))
  await passTurns(5)
  expect(closing.state).toBe('pending')
  arrive?.()
  await until(() => Promise.resolve(closing.state === 'resolved'))
  expect(delivered).toEqual([task.taskId])
})

/** Real files take real turns of the loop; there is no clock to move. */
async function until(isDone: () => Promise<boolean>): Promise<void> {
  await expect.poll(isDone, { interval: 1 }).toBe(true)
}
