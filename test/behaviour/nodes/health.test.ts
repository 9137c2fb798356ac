import { memoryStore } from 'outlive'
import { expect, test } from 'vitest'
import { LEASE_MS, setupNodes } from '../../support/nodes.ts'
import { setup } from '../../support/setup.ts'

test('a supervisor with a store of its own is ready until it drains', async () => {
  const { tasks, advance } = setup()
  expect(tasks.operator.health()).toEqual({ isReady: true, phase: 'accepting', store: 'answering', unsaved: 0 })
  const closing = tasks.shutdown({ graceMs: 1 })
  expect(tasks.operator.health()).toMatchObject({ isReady: false, phase: 'draining' })
  await advance(60_000)
  await closing
  expect(tasks.operator.health()).toMatchObject({ isReady: false, phase: 'stopped' })
})

test('it is not ready before its store is open', async () => {
  let open = (): void => undefined
  const { tasks, settle } = setup({
    store: {
      ...memoryStore(),
      durability: 'process',
      open: () => new Promise((resolve) => void (open = () => resolve([]))),
    },
  })
  expect(tasks.operator.health()).toMatchObject({ isReady: false, store: 'opening' })
  const started = tasks.start()
  await settle()
  open()
  await started
  expect(tasks.operator.health()).toMatchObject({ isReady: true, store: 'answering' })
})

test('while its store fails it is not ready, and it is again by itself', async () => {
  const { start, advance, settle } = setupNodes()
  const { tasks, ann, cut, mend } = await start()
  expect(tasks.operator.health()).toMatchObject({ isReady: true, node: { hasLease: true } })
  const task = await ann.spawn(async () => new Promise<never>(() => undefined))
  await settle()
  cut()
  task.redirect('nowhere').catch(() => undefined)
  void ann.cancel(task.taskId)
  await advance(100)
  expect(tasks.operator.health()).toMatchObject({ isReady: false, store: 'failing' })
  expect(tasks.operator.health().unsaved).toBeGreaterThan(0)
  await advance(LEASE_MS)
  expect(tasks.operator.health()).toMatchObject({ isReady: false, node: { hasLease: false } })
  mend()
  await advance(10_000)
  expect(tasks.operator.health()).toMatchObject({
    isReady: true,
    store: 'answering',
    unsaved: 0,
    node: { hasLease: true },
  })
})
