import { isTaskError, shutdownOnSignals, type ShutdownReport, type SignalOptions } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect, onTestFinished, test } from 'vitest'
import { setup, watch, type Harness } from '../support/setup.ts'

// The rules in this process; real signals and real ends are in test/signals.test.ts. Nobody else listens to this one.
const SIGNAL = 'SIGUSR2'

const raise = (): boolean => process.emit(SIGNAL, SIGNAL)

interface SignalledHarness extends Harness {
  readonly undo: () => void
  readonly reports: ShutdownReport[]
}

function setupSignals(options: SignalOptions = {}): SignalledHarness {
  const harness = setup()
  const reports: ShutdownReport[] = []
  const undo = shutdownOnSignals(harness.tasks, {
    signals: [SIGNAL],
    onShutdown: (report) => void reports.push(report),
    ...options,
  })
  const exitCodeBefore = process.exitCode
  onTestFinished(() => {
    undo()
    process.exitCode = exitCodeBefore
  })
  return { ...harness, undo, reports }
}

test('the first signal shuts down with the given grace, and a clean report sets no exit code', async () => {
  const { ann, reports, advance } = setupSignals({ graceMs: 3_000 })
  const work = controllableTool('work', { honoursSignal: true })
  await ann.spawn(work.tool, undefined)
  raise()
  await advance(2_999)
  expect(reports).toEqual([])
  await advance(1)
  expect(reports).toEqual([{ completed: 0, cancelled: 1, handedBack: 0, abandoned: 0, unsaved: 0, undelivered: 0 }])
  expect(process.exitCode).toBeUndefined()
})

test('onSignal is called once, with the signal, when new work is refused already', async () => {
  const heard: string[] = []
  const refused: Promise<unknown>[] = []
  const { ann, settle } = setupSignals({
    onSignal(signal) {
      heard.push(signal)
      refused.push(ann.run(async () => 1, undefined).catch((error: unknown) => error))
    },
  })
  raise()
  await settle()
  expect(heard).toEqual([SIGNAL])
  expect((await Promise.all(refused)).map((error) => isTaskError(error, 'supervisor_closed'))).toEqual([true])
})

test('a shutdown that was begun by hand is joined: its grace counts, and there is one report', async () => {
  const { ann, tasks, reports, advance } = setupSignals({ graceMs: 60_000 })
  const work = controllableTool('work', { honoursSignal: true })
  await ann.spawn(work.tool, undefined)
  const byHand = watch(tasks.shutdown({ graceMs: 1_000 }))
  await advance(500)
  raise()
  await advance(500)
  expect(byHand.value).toMatchObject({ cancelled: 1 })
  expect(reports).toHaveLength(1)
  expect(reports[0]).toBe(byHand.value)
})

test('a signal after a shutdown by hand gives its report and takes the handlers away', async () => {
  const { tasks, reports, settle } = setupSignals()
  const report = await tasks.shutdown()
  raise()
  await settle()
  expect(reports[0]).toBe(report)
  expect(process.listenerCount(SIGNAL)).toBe(0)
})

test('work that was lost sets exit code 1, unless the host has set one', async () => {
  for (const { given, expected } of [
    { given: undefined, expected: 1 },
    { given: 0, expected: 1 },
    { given: 3, expected: 3 },
  ]) {
    const { ann, reports, advance } = setupSignals({ graceMs: 1_000 })
    await ann.spawn(controllableTool('deaf').tool, undefined)
    process.exitCode = given
    raise()
    await advance(10_000)
    expect(reports).toMatchObject([{ abandoned: 1 }])
    expect(process.exitCode).toBe(expected)
    process.exitCode = undefined
  }
})

test('a signal that is heard in the async context of a task shuts down like any other', async () => {
  const { ann, reports, settle } = setupSignals()
  await ann.spawn(async () => void raise())
  await settle()
  expect(reports).toMatchObject([{ completed: 1 }])
})

test('the undo takes the handlers away, and so does the end; neither holds a timer', async () => {
  const { clock, undo, tasks, settle } = setupSignals({ signals: [SIGNAL, SIGNAL, 'SIGHUP'] })
  const count = (): number[] => [process.listenerCount(SIGNAL), process.listenerCount('SIGHUP')]
  expect(count()).toEqual([1, 1])
  expect(clock.timerCount()).toBe(0)
  undo()
  undo()
  expect(count()).toEqual([0, 0])

  shutdownOnSignals(tasks, { signals: [SIGNAL, 'SIGHUP'] })
  expect(count()).toEqual([1, 1])
  raise()
  await settle()
  expect(count()).toEqual([0, 0])
  expect(clock.timerCount()).toBe(0)
})

test('by default SIGTERM and SIGINT are heard', () => {
  const { tasks } = setup()
  const count = (): number[] => [process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')]
  const before = count()
  const undo = shutdownOnSignals(tasks)
  expect(count()).toEqual(before.map((listeners) => listeners + 1))
  undo()
  expect(count()).toEqual(before)
})

test.each([
  { options: { graceMs: 0 }, message: 'graceMs must be a positive number of milliseconds, got 0' },
  { options: { signals: [] }, message: 'signals must be a list of signals' },
  { options: { signals: 'SIGTERM' }, message: 'signals must be a list of signals, got "SIGTERM"' },
  { options: { signals: ['SIGNONE'] }, message: 'signals that a process can handle, got "SIGNONE"' },
  { options: { signals: ['SIGKILL'] }, message: 'signals that a process can handle, got "SIGKILL"' },
  { options: { signals: ['SIGTERM', 15] }, message: 'signals that a process can handle, got 15' },
  { options: { onSignal: 'log' }, message: 'onSignal must be a function, got "log"' },
  { options: { onShutdown: null }, message: 'onShutdown must be a function, got null' },
  { options: { timeoutMs: 5 }, message: 'options has no option "timeoutMs"' },
  { options: 5, message: 'options must be an object, got 5' },
])('bad signal options $options are a TypeError, and nothing is listened to', ({ options, message }) => {
  const { tasks } = setup()
  const before = process.listenerCount('SIGTERM')
  const call = (): unknown => shutdownOnSignals(tasks, options as never)
  expect(call).toThrow(TypeError)
  expect(call).toThrow(message)
  expect(process.listenerCount('SIGTERM')).toBe(before)
})

test('something that is no supervisor is a TypeError', () => {
  for (const tasks of [undefined, null, {}, 'tasks']) {
    expect(() => shutdownOnSignals(tasks as never)).toThrow(/tasks must be a supervisor, got/)
  }
})
