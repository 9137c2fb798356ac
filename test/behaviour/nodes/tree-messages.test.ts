import { controllableTool } from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { watch } from '../../support/setup.ts'
import { setupTree } from '../../support/tree-of-nodes.ts'

describe.each([true, false])('a tree over several processes, with hints: %s', (wakes) => {
  test('a child writes to its parent, and the parent to the child, by its id or its name', async () => {
    const { b, root, soon, spawnIn, ctxOf } = await setupTree({ wakes })
    const child = await spawnIn(b, 'child', { name: 'Below' })
    const { messageId } = await soon(ctxOf('child').send('parent', { found: 1 }))
    expect(ctxOf('root').inbox.drain()).toMatchObject([
      { messageId, payload: { found: 1 }, from: { kind: 'task', taskId: child.taskId, name: 'below' } },
    ])
    await soon(ctxOf('root').send(child.taskId, 'by id'))
    await soon(ctxOf('root').send('BELOW', 'by name'))
    const received = ctxOf('child').inbox.drain()
    expect(received.map(({ payload }) => payload)).toEqual(['by id', 'by name'])
    expect(received[0]?.from).toEqual({ kind: 'task', taskId: root.taskId })
  })

  test('children of one parent write to each other, wherever each of them runs', async () => {
    const { a, b, c, soon, codeOf, spawnIn, ctxOf } = await setupTree({ wakes })
    const there = await spawnIn(b, 'there', { name: 'there' })
    for (const [node, input] of [
      [a, 'with the parent'],
      [b, 'beside'],
      [c, 'far'],
    ] as const) {
      await spawnIn(node, input)
      await soon(ctxOf(input).send({ sibling: 'there' }, `from ${input}`))
      await soon(ctxOf(input).send({ sibling: there.taskId }, `again from ${input}`))
      expect(
        ctxOf('there')
          .inbox.drain()
          .map(({ payload }) => payload),
      ).toEqual([`from ${input}`, `again from ${input}`])
    }
    expect(await codeOf(ctxOf('there').send({ sibling: 'there' }, 'to myself'))).toBe('task_not_found')
    expect(await codeOf(ctxOf('there').send({ sibling: there.taskId }, 'to myself'))).toBe('task_not_found')
  })

  test('a parent answers what its child has asked there, in its own name, and once', async () => {
    const { b, root, soon, codeOf, spawnIn, ctxOf, end } = await setupTree({ wakes })
    const child = await spawnIn(b, 'child')
    const answer = watch(ctxOf('child').ask('may', 'May I?'))
    expect(await codeOf(ctxOf('root').answer(child.taskId, 'other', 'yes'))).toBe('question_closed')
    await soon(ctxOf('root').answer(child.taskId, 'may', 'yes'))
    expect(answer.value).toBe('yes')
    expect(await codeOf(ctxOf('root').answer(child.taskId, 'may', 'no'))).toBe('question_closed')
    end('child')
    await soon(child.wait())
    expect(await codeOf(ctxOf('root').answer(child.taskId, 'may', 'no'))).toBe('task_final')
    const log = []
    for await (const event of child.events()) log.push(event)
    expect(log).toContainEqual(expect.objectContaining({ type: 'task.answered', key: 'may', actor: root.taskId }))
  })
})

test('an answer that cannot be kept is refused before it travels, and the question stays open', async () => {
  const { a, b, soon, codeOf, spawnIn, ctxOf } = await setupTree()
  const child = await spawnIn(b, 'child')
  const answer = watch(ctxOf('child').ask('may', 'May I?'))
  for (const value of [() => true, Symbol('yes'), 1n, 'x'.repeat(64 * 1024)]) {
    expect(await codeOf(ctxOf('root').answer(child.taskId, 'may', value))).toBe('input_invalid')
    expect(await codeOf(a.ann.answer(child.taskId, 'may', value))).toBe('input_invalid')
  }
  await expect(a.ann.answer(child.taskId, '', 'yes')).rejects.toThrow(TypeError)
  expect(answer.state).toBe('pending')
  await soon(a.ann.answer(child.taskId, 'may', undefined))
  expect([answer.state, answer.value]).toEqual(['resolved', undefined])
})

test('what is not below a task is not there for it, neither here nor in another process', async () => {
  const { a, b, soon, codeOf, spawnIn, ctxOf, root } = await setupTree()
  const work = controllableTool<string, string>('other', { honoursSignal: true })
  const stranger = await b.bob.spawn(work.tool, 'of bob', { name: 'stranger' })
  const cousin = await b.ann.spawn(work.tool, 'of ann', { name: 'cousin' })
  const child = await spawnIn(b, 'child', { name: 'child' })
  const grandchild = await soon(
    a.tasks.session({ owner: 'ann', parentId: child.taskId }).spawn(work.tool, 'below', { name: 'grandchild' }),
  )
  for (const call of work.calls) void watch(call.ctx.ask('may', 'May I?'))
  for (const called of ['unknown', 'stranger', 'cousin', 'grandchild', stranger.taskId, cousin.taskId, root.taskId]) {
    expect(await codeOf(ctxOf('root').send(called, 'x')), called).toBe('task_not_found')
    expect(await codeOf(ctxOf('child').send({ sibling: called }, 'x')), called).toBe('task_not_found')
    expect(await codeOf(ctxOf('root').answer(called, 'may', 'yes')), called).toBe('task_not_found')
  }
  expect(await codeOf(ctxOf('root').send(grandchild.taskId, 'x'))).toBe('task_not_found')
  expect(await codeOf(ctxOf('root').answer(grandchild.taskId, 'may', 'yes'))).toBe('task_not_found')
  expect(await codeOf(ctxOf('root').send({ sibling: 'child' }, 'x'))).toBe('task_not_found')
})

test('the parent is final for a child that goes on without it in another process, and its siblings are out of reach', async () => {
  const { b, soon, codeOf, spawnIn, ctxOf, end, root } = await setupTree()
  await spawnIn(b, 'alone', { onParentEnd: 'detach' })
  await spawnIn(b, 'alone too', { onParentEnd: 'detach', name: 'too' })
  end('root')
  await soon(root.wait())
  expect(await codeOf(ctxOf('alone').send('parent', 'x'))).toBe('task_final')
  expect(await codeOf(ctxOf('alone').send({ sibling: 'too' }, 'x'))).toBe('task_not_found')
})

test('a shadow is no task: nobody reaches it by its own id', async () => {
  const { a, b, spawnIn, codeOf, ctxOf } = await setupTree()
  const child = await spawnIn(b, 'child')
  // Ids are counted up, and the shadow has one of them.
  const ids = Array.from({ length: 60 }, (_, index) => `task-${index + 1}`)
  const known = (await a.ann.list()).tasks.map(({ taskId }) => taskId)
  expect(known).toContain(child.taskId)
  for (const taskId of ids.filter((id) => !known.includes(id))) {
    expect(await a.ann.get(taskId), taskId).toBeUndefined()
    expect(await a.tasks.operator.get(taskId), taskId).toBeUndefined()
    expect(await codeOf(a.ann.cancel(taskId)), taskId).toBe('task_not_found')
    expect(await codeOf(ctxOf('root').send(taskId, 'x')), taskId).toBe('task_not_found')
  }
})
