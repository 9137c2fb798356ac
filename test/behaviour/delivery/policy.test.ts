import type { DeliveryRequest } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'
import { scriptedChannel } from '../../support/scripted-channel.ts'
import { setup } from '../../support/setup.ts'

function setupPolicy(mayDeliver: (request: DeliveryRequest) => boolean) {
  const chat = scriptedChannel()
  return { chat, ...setup({ mayDeliver, channels: { chat: chat.channel } }) }
}

test('an owner sets no target that the policy refuses, in any way, and nothing starts', async () => {
  const asked: DeliveryRequest[] = []
  const { tasks, ann } = setupPolicy((request) => {
    asked.push(request)
    return request.target === `chat:${request.owner}`
  })
  const refusal = { code: 'not_allowed' }
  await expect(ann.spawn(() => 1, undefined, { deliverTo: 'chat:bob' })).rejects.toMatchObject(refusal)
  await expect(ann.run(() => 1, undefined, { deliverTo: ['chat:ann', 'chat:bob'] })).rejects.toMatchObject(refusal)
  expect(() => tasks.session({ owner: 'ann', origin: 'chat:bob' })).toThrow('may not be sent')
  expect((await ann.list()).tasks).toEqual([])
  expect(asked).toContainEqual({ owner: 'ann', target: 'chat:bob' })
  const work = controllableTool('work')
  const live = await ann.spawn(work.tool, undefined, { deliverTo: ' CHAT : ann ' })
  await expect(live.redirect('chat:bob')).rejects.toMatchObject(refusal)
  expect(await live.record()).toMatchObject({ targets: ['chat:ann'] })
  work.call(0).resolve(1)
  await live.wait()
  await expect(live.redirect('chat:bob')).rejects.toMatchObject(refusal)
})

test('a target that is refused by the time of sending is a dead letter, and gets nothing', async () => {
  const allowed = new Set(['chat:1'])
  const { ann, chat, settle } = setupPolicy(({ target }) => allowed.has(target))
  const work = controllableTool('work')
  const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
  allowed.clear()
  work.call(0).resolve('a secret')
  await settle()
  expect(chat.sent).toEqual([])
  expect(await ann.deliveries(task.taskId)).toMatchObject([
    { state: 'deadLettered', attempts: 0, failure: { code: 'not_allowed' } },
  ])
  allowed.add('chat:1')
  const [dead] = await ann.deliveries(task.taskId)
  if (dead !== undefined) await ann.deadDeliveries.replay(dead)
  await settle()
  expect(chat.arrived).toHaveLength(1)
})

test('a policy that throws, or says anything but true, allows nothing when a result is to be sent', async () => {
  for (const answer of ['throw', 'yes', 1, undefined] as const) {
    let isSet = false
    const { ann, chat, settle } = setupPolicy(() => {
      if (!isSet) return true
      if (answer === 'throw') throw new Error('no idea')
      return answer as never
    })
    const work = controllableTool('work')
    const task = await ann.spawn(work.tool, undefined, { deliverTo: 'chat:1' })
    isSet = true
    work.call(0).resolve(1)
    await settle()
    expect(chat.sent).toEqual([])
    expect((await ann.deliveries(task.taskId))[0]).toMatchObject({ failure: { code: 'not_allowed' } })
  }
})

test('what is no policy is refused', () => {
  expect(() => setup({ mayDeliver: true as never })).toThrow('mayDeliver must be a function')
})
