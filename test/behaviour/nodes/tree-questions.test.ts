import type { Session, TaskStore } from 'outlive'
import { faultyStore, type FaultPlan } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { LEASE_MS } from '../../support/nodes.ts'
import { watch } from '../../support/setup.ts'
import { setupTree } from '../../support/tree-of-nodes.ts'

const ASKED = { kind: 'question', payload: { key: 'may', question: 'May I?' } }

/** The keys of the questions that the owner finds in one process. */
async function toldTo(session: Session): Promise<string[]> {
  const messages = await session.inbox.drain()
  return messages.flatMap((message) => (message.kind === 'question' ? [message.payload.key] : []))
}

/** What goes wrong between one process and the store, as soon as a test says so. */
function setupFaults() {
  let plan: FaultPlan = () => undefined
  return {
    wrap: (inner: TaskStore): TaskStore => faultyStore(inner, (call) => plan(call)),
    plan: (given: FaultPlan) => void (plan = given),
  }
}

describe.each([true, false])('a question for a parent in another process, with hints: %s', (wakes) => {
  test('is found by its code, which answers it, and the owner is not told', async () => {
    const { a, b, soon, spawnIn, ctxOf } = await setupTree({ wakes })
    const child = await spawnIn(b, 'child', { name: 'below' })
    const answer = watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
    const question = await soon(ctxOf('root').inbox.receive())
    expect(question).toMatchObject({ ...ASKED, from: { kind: 'task', taskId: child.taskId, name: 'below' } })
    await soon(ctxOf('root').answer(child.taskId, 'may', 'yes'))
    expect(answer.value).toBe('yes')
    expect([await toldTo(a.ann), await toldTo(b.ann)]).toEqual([[], []])
    const log = []
    for await (const event of child.events()) {
      log.push(event)
      if (event.type === 'task.resumed') break
    }
    expect(log).toContainEqual(expect.objectContaining({ type: 'task.asked', key: 'may', to: 'parent' }))
  })

  test.each(['unread', 'read'])('that its code leaves behind %s is told to the owner', async (how) => {
    const { a, b, soon, spawnIn, ctxOf, end, advance, withinMs } = await setupTree({ wakes })
    const [child, alone] = [await spawnIn(b, 'child'), await spawnIn(b, 'alone', { onParentEnd: 'detach' })]
    const answer = watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
    watch(ctxOf('alone').ask('alone', 'May I, too?', { to: 'parent' }))
    await advance(withinMs)
    expect(ctxOf('root').inbox.size).toBe(2)
    if (how === 'read') ctxOf('root').inbox.drain()
    end('root')
    await advance(withinMs)
    expect((await toldTo(b.ann)).toSorted()).toEqual(['alone', 'may'])
    await soon(a.ann.answer(child.taskId, 'may', 'the owner says yes'))
    expect([answer.value, (await alone.record()).status]).toEqual(['the owner says yes', 'waiting'])
    // There is nobody to answer any more.
    void watch(ctxOf('child').ask('late', 'May I now?', { to: 'parent' }))
    await advance(withinMs)
    expect(await toldTo(b.ann)).toEqual(['late'])
    expect(a.ann.deadLetters.list()).toEqual([])
  })
})

test('a question that does not fit into the inbox of a parent in another process is told to the owner', async () => {
  const { a, b, soon, spawnIn, ctxOf, advance, root } = await setupTree({ nodes: [{ inbox: { maxMessages: 1 } }] })
  await spawnIn(b, 'child')
  await soon(a.ann.send(root.taskId, 'fills it'))
  void watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
  await advance(300)
  expect(await toldTo(b.ann)).toEqual(['may'])
  expect(ctxOf('root').inbox.drain()).toMatchObject([{ kind: 'message' }])
})

test('a question of a child that is stopped with its parent is told to nobody', async () => {
  const { a, b, soon, spawnIn, ctxOf, root } = await setupTree()
  await spawnIn(b, 'child')
  const answer = watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
  await soon(root.cancel())
  expect(answer.error).toMatchObject({ code: 'task_stopped' })
  expect([await toldTo(a.ann), await toldTo(b.ann)]).toEqual([[], []])
})

describe('a parent is told once', () => {
  test.each([
    ['the order is lost', 'b', 'sendOrder', 'failBefore'],
    ['nobody knows that the order was sent', 'b', 'sendOrder', 'failAfter'],
    ['the reply cannot be read', 'b', 'readReply', 'failBefore'],
    ['the record cannot be read', 'b', 'read', 'failBefore'],
    ['the orders cannot be read', 'a', 'readOrders', 'failBefore'],
    ['the reply is not written', 'a', 'replyTo', 'failBefore'],
    ['nobody knows that the reply was written', 'a', 'replyTo', 'failAfter'],
  ] as const)('when %s for a while', async (_what, where, method, fault) => {
    const faults = setupFaults()
    const nodes = where === 'a' ? [{ wrap: faults.wrap }] : [{}, { wrap: faults.wrap }]
    const { a, b, spawnIn, ctxOf, advance } = await setupTree({ nodes })
    await spawnIn(b, 'child')
    let left = 4
    faults.plan((call) => (call.method === method && (left -= 1) >= 0 ? fault : undefined))
    void watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
    const heard: unknown[] = []
    for (let waited = 0; waited < 40; waited += 1) {
      await advance(500)
      heard.push(...ctxOf('root').inbox.drain())
    }
    expect(left).toBeLessThan(4)
    expect(heard).toMatchObject([ASKED])
    expect([await toldTo(a.ann), await toldTo(b.ann)]).toEqual([[], []])
  })
})

test('that the code of a parent in another process has ended is found out though the store fails just then', async () => {
  const faults = setupFaults()
  const { b, spawnIn, ctxOf, advance, end, root } = await setupTree({ nodes: [{}, { wrap: faults.wrap }] })
  await spawnIn(b, 'child')
  void watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
  await advance(300)
  let left = 3
  faults.plan(({ method, args: [taskId] }) =>
    method === 'read' && taskId === root.taskId && (left -= 1) >= 0 ? 'failBefore' : undefined,
  )
  end('root')
  await advance(20_000)
  expect(left).toBeLessThan(0)
  expect(await toldTo(b.ann)).toEqual(['may'])
  expect(b.logged).toEqual([])
})

test('a question is told to the owner when the process of the parent does not answer for a minute', async () => {
  const faults = setupFaults()
  const { a, b, spawnIn, ctxOf, advance } = await setupTree({ nodes: [{ wrap: faults.wrap }] })
  await spawnIn(b, 'child')
  faults.plan(({ method }) => (method === 'readOrders' ? 'failBefore' : undefined))
  void watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
  await advance(59_000)
  expect(await toldTo(b.ann)).toEqual([])
  await advance(5_000)
  expect([await toldTo(a.ann), await toldTo(b.ann)]).toEqual([[], ['may']])
})

test('a question is told to the owner when the process of the parent is gone and the child goes on alone', async () => {
  const { a, b, spawnIn, ctxOf, advance } = await setupTree()
  const alone = await spawnIn(b, 'alone', { onParentEnd: 'detach' })
  a.kill()
  void watch(ctxOf('alone').ask('may', 'May I?', { to: 'parent' }))
  await advance(4 * LEASE_MS)
  expect(await toldTo(b.ann)).toEqual(['may'])
  expect((await alone.record()).status).toBe('waiting')
})

test('a question that is settled while its parent cannot be reached is told to nobody', async () => {
  const faults = setupFaults()
  const { a, b, soon, spawnIn, ctxOf, advance } = await setupTree({ nodes: [{}, { wrap: faults.wrap }] })
  const child = await spawnIn(b, 'child')
  faults.plan(({ method }) => (method === 'sendOrder' ? 'failBefore' : undefined))
  const answer = watch(ctxOf('child').ask('may', 'May I?', { to: 'parent' }))
  await advance(10_000)
  await soon(a.ann.answer(child.taskId, 'may', 'yes'))
  expect(answer.value).toBe('yes')
  await advance(90_000)
  expect(ctxOf('root').inbox.size).toBe(0)
  expect(await toldTo(b.ann)).toEqual([])
})
