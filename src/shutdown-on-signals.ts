/**
 * The orderly end of a process that gets a signal.
 *
 * waiting: no signal has come.
 * ending: the first one has come, and the shutdown that it began or joined is under way.
 * over: the shutdown has given its report and the handlers are gone. The next signal does what it does to any process.
 *
 * 1. The process ends by itself, when nothing holds it any more. By force it ends only at a second signal.
 * 2. The exit code tells of lost work, and never hides a code that the host has set.
 * 3. Handlers hold nothing alive, and none is left once the end is over or undone.
 */
import { constants } from 'node:os'
import { badOption, checkDuration, checkFunction, checkOptionNames, orDefault } from './options.ts'
import { ambient } from './runtime/ambient.ts'
import type { ShutdownReport } from './runtime/shutdown.ts'
import type { ShutdownOptions, TaskSupervisor } from './task-supervisor.ts'

export interface SignalOptions extends ShutdownOptions {
  /** What is listened to. @defaultValue `['SIGTERM', 'SIGINT']` */
  readonly signals?: readonly NodeJS.Signals[]
  /** Called at the first signal, when new work is refused already: the place to close servers. */
  readonly onSignal?: (signal: NodeJS.Signals) => void
  /** Called with the report, when the handlers are gone: the place to close what the tasks needed. */
  readonly onShutdown?: (report: ShutdownReport, signal: NodeJS.Signals) => void | Promise<void>
}

/** The same signal again within this time is the same key: a terminal and a wrapper such as `npm run` both send it. */
const SAME_KEY_MS = 200
const LOST_WORK_CODE = 1
/** What a shell reports for a process that a signal ended, less the number of the signal. */
const SIGNAL_BASE_CODE = 128
const UNCATCHABLE = ['SIGKILL', 'SIGSTOP']

/**
 * Shuts the supervisor down when the process gets SIGTERM or SIGINT. Gives the undo: it takes the handlers away again.
 *
 * The first signal begins `tasks.shutdown`, or joins the one that is under way; then the process ends by itself, with
 * code 0, or 1 if the report has anything abandoned, unsaved or undelivered. A second signal meanwhile ends it at once
 * with 128 and the number of the signal; the same one within 200 ms is taken for the first. What else holds the process alive is left to `onSignal` and `onShutdown`.
 *
 * @throws TypeError naming the option and the value it got
 * @example
 * ```ts
 * import { createTaskSupervisor, shutdownOnSignals } from 'outlive'
 *
 * const tasks = createTaskSupervisor()
 * const undo = shutdownOnSignals(tasks, { graceMs: 10_000 })
 * await tasks.run(async () => 'work', undefined)
 * undo()
 * await tasks.shutdown()
 * ```
 */
export function shutdownOnSignals(tasks: Pick<TaskSupervisor, 'shutdown'>, options: SignalOptions = {}): () => void {
  if (typeof tasks?.shutdown !== 'function') throw badOption('tasks', 'a supervisor', tasks)
  checkOptionNames('options', options, ['graceMs', 'signals', 'onSignal', 'onShutdown'])
  const shutdown = options.graceMs === undefined ? {} : { graceMs: checkDuration('graceMs', options.graceMs) }
  const signals = checkSignalNames(orDefault(options.signals, ['SIGTERM', 'SIGINT']))
  const onSignal = checkFunction(
    'onSignal',
    orDefault(options.onSignal, () => undefined),
  )
  const onShutdown = checkFunction(
    'onShutdown',
    orDefault(options.onShutdown, () => undefined),
  )
  let first: { readonly signal: NodeJS.Signals; readonly atMs: number } | undefined

  const undo = (): void => {
    for (const signal of signals) process.off(signal, hear)
  }

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    let report: ShutdownReport
    try {
      report = await tasks.shutdown(shutdown)
    } finally {
      undo()
    }
    if (hasLostWork(report) && Number(process.exitCode ?? 0) === 0) process.exitCode = LOST_WORK_CODE
    await onShutdown(report, signal)
  }

  const hear = (signal: NodeJS.Signals): void => {
    const atMs = performance.now()
    if (first !== undefined) {
      if (signal === first.signal && atMs - first.atMs < SAME_KEY_MS) return
      process.exit(SIGNAL_BASE_CODE + constants.signals[signal])
    }
    first = { signal, atMs }
    // The signal may be heard in the async context of a task, which could not shut its own supervisor down.
    ambient.runOutside(() => {
      // Nobody awaits it: what it throws is an unhandled rejection, as what `onSignal` throws is an uncaught exception.
      void end(signal)
      onSignal(signal)
    })
  }

  for (const signal of signals) process.on(signal, hear)
  return undo
}

function hasLostWork({ abandoned, unsaved, undelivered }: ShutdownReport): boolean {
  return abandoned + unsaved + undelivered > 0
}

function checkSignalNames(value: unknown): ReadonlySet<NodeJS.Signals> {
  if (!Array.isArray(value) || value.length === 0) throw badOption('signals', 'a list of signals', value)
  for (const name of value as unknown[]) {
    const isFine = typeof name === 'string' && Object.hasOwn(constants.signals, name) && !UNCATCHABLE.includes(name)
    if (!isFine) throw badOption('signals', 'a list of signals that a process can handle', name)
  }
  return new Set(value as NodeJS.Signals[])
}
