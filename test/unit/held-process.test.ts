import { setImmediate as nextTurn } from 'node:timers/promises'
import { createTaskSupervisor } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, test } from 'vitest'

/** What holds this process alive, by kind, apart from what held it before. */
function heldSince(before: readonly string[]): string[] {
  const left = [...before]
  return process.getActiveResourcesInfo().filter((kind) => {
    const at = left.indexOf(kind)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}

test('an idle supervisor holds nothing, one with live tasks a timer, and a closed one nothing again', async () => {
  await nextTurn()
  const before = process.getActiveResourcesInfo()
  const tasks = createTaskSupervisor({ graceMs: 20, logger: { warn: () => undefined, error: () => undefined } })
  const work = controllableTool<number>('work')
  await tasks.run(async () => 1, undefined)
  await nextTurn()
  expect(heldSince(before)).toEqual([])

  const task = await tasks.spawn(work.tool, 0)
  const wait = task.result({ waitMs: 60_000 })
  const call = tasks.run(work.tool, 1)
  await nextTurn()
  expect(heldSince(before)).toContain('Timeout')
  work.call(0).resolve('value')
  work.call(1).resolve('value')
  expect([await wait, (await call).kind]).toEqual(['value', 'inline'])
  await nextTurn()
  expect(heldSince(before)).toEqual([])

  await tasks.spawn(work.tool, 2)
  const subscription = tasks.operator.events$().subscribe(() => undefined)
  const report = await tasks.shutdown({ graceMs: 10 })
  expect(report).toEqual({ completed: 0, cancelled: 1, handedBack: 0, abandoned: 1, unsaved: 0, undelivered: 0 })
  await nextTurn()
  expect(heldSince(before)).toEqual([])
  subscription.unsubscribe()
  expect(await tasks.shutdown()).toBe(report)
})
