import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { later, refused, scriptedChannel } from '../../support/scripted-channel.ts'
import { setup } from '../../support/setup.ts'

function setupAudit() {
  const chat = scriptedChannel()
  return { chat, ...setup({ channels: { chat: chat.channel } }) }
}

describe('an audit', () => {
  test('lists every task that has ended, with what was delivered, is dead and is owed, and that nothing is missing', async () => {
    const { ann, bob, tasks, chat, settle } = setupAudit()
    chat.script('dead', refused())
    chat.always('down', later())
    const work = controllableTool('work')
    const fine = await ann.spawn(() => 1, undefined, { deliverTo: ['chat:1', 'chat:dead'] })
    await bob.spawn(() => 2, undefined, { deliverTo: 'chat:down' })
    await ann.spawn(() => 3, undefined)
    await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    await settle()
    const audit = await tasks.operator.audit()
    expect(audit).toMatchObject({
      counts: { delivered: 1, deadLettered: 1, pending: 1, withdrawn: 0 },
      missing: [],
      stray: [],
    })
    expect(audit.tasks).toHaveLength(3)
    expect(audit.tasks[0]).toMatchObject({ taskId: fine.taskId, owner: 'ann', deliveries: [{}, {}] })
    work.call(0).resolve(1)
    await settle()
    expect((await tasks.operator.audit({ owner: 'ann' })).counts).toMatchObject({ delivered: 2, deadLettered: 1 })
  })

  test('comes in pages', async () => {
    const { ann, tasks, settle } = setupAudit()
    for (let count = 0; count < 5; count += 1) await ann.spawn(() => count, undefined, { deliverTo: 'chat:1' })
    await settle()
    const seen: string[] = []
    for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
      const page = await tasks.operator.audit({ limit: 2, ...(after === undefined ? {} : { after }) })
      seen.push(...page.tasks.map(({ taskId }) => taskId))
      after = page.next
    }
    expect(seen).toHaveLength(5)
    await expect(tasks.operator.audit({ after: 'x' })).rejects.toMatchObject({ code: 'invalid_cursor' })
  })

  test('says so when a result has no delivery, or one where nobody had asked for it', async () => {
    const { ann, tasks, store, settle } = setupAudit()
    const task = await ann.spawn(() => 1, undefined, { deliverTo: 'chat:1' })
    await settle()
    const record = await store.read(task.taskId)
    if (record === undefined) throw new Error('there is no record')
    // As a store that has lost, or mixed up, what it was given.
    await store.commit({
      id: 'broken',
      expect: { version: record.version, epoch: record.epoch },
      record: { ...record, version: record.version + 1, targets: ['chat:2'] },
      events: [],
      trimTo: 0,
      outbox: [],
      claims: [],
      attachments: [],
    })
    expect(await tasks.operator.audit()).toMatchObject({
      missing: [{ taskId: task.taskId, target: 'chat:2' }],
      stray: [{ taskId: task.taskId, target: 'chat:1' }],
    })
  })
})
