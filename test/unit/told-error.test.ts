import { createTaskSupervisor, isTaskError } from 'outlive'
import { expect, test } from 'vitest'
import { toldError } from '../../src/told-error.ts'

test('an error that tells of what happened elsewhere says what, and has no stack', () => {
  const before = Error.stackTraceLimit
  const error = toldError(() => new RangeError('it is over'))
  expect(error).toBeInstanceOf(RangeError)
  expect(error.stack).toBe('RangeError: it is over')
  expect(Error.stackTraceLimit).toBe(before)
  expect(new Error('here').stack).toContain('told-error.test.ts')
})

test('a maker that throws leaves stacks as they were', () => {
  const before = Error.stackTraceLimit
  const fail = (): Error => {
    throw new Error('not made')
  }
  expect(() => toldError(fail)).toThrow('not made')
  expect(Error.stackTraceLimit).toBe(before)
})

test('whoever awaits a task that others cancel gets an error without frames of the library; one that refuses a call has them', async () => {
  const tasks = createTaskSupervisor({ inlineMs: Infinity })
  const wait = (_: undefined, { signal }: { readonly signal: AbortSignal }): Promise<void> =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  const call = tasks.run(wait).catch((error: unknown) => error)
  await tasks.cancelAll()
  const error = await call
  expect(isTaskError(error, 'task_cancelled')).toBe(true)
  expect(error).toHaveProperty('stack', 'TaskCancelledError: The task was cancelled (user).')
  await tasks.shutdown()
  const refused: unknown = await tasks.run(wait).catch((thrown: unknown) => thrown)
  expect(isTaskError(refused, 'supervisor_closed')).toBe(true)
  expect(refused).toHaveProperty('stack', expect.stringContaining('    at '))
})
