/**
 * What a task's code says while it runs: progress, events of its own, output, usage.
 *
 * 1. Progress is paced before it is numbered: one report per `progressMs` is kept, and always the last.
 * 2. What code says after its task is final, or its attempt over, is counted and goes nowhere.
 */
import { TaskError } from '../errors.ts'
import { partOf } from '../kept-text.ts'
import { badOption, checkOptionNames, checkText, quote } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { TaskProgress, TaskUsage } from '../ports/task-record.ts'
import type { ProgressReport } from '../ports/tool.ts'
import type { Budgets } from './budgets.ts'
import type { Counters } from './counters.ts'
import type { Journal } from './journal/journal.ts'
import { decodeFrozen, encodeJson } from './values/json.ts'
import { reportedOf, type LiveTask } from './live-task.ts'

const MAX_EVENT_NAME_CHARS = 128
const MAX_NOTE_CHARS = 1_000
const MAX_PAYLOAD_BYTES = 64 * 1024

export interface Reports {
  progress(task: LiveTask, report: ProgressReport): void
  emit(task: LiveTask, name: string, payload: unknown): void
  output(task: LiveTask, chunk: string): void
  usage(task: LiveTask, used: Partial<TaskUsage>): void
  /** Counts what came too late. */
  noteLate(): void
  /** Keeps a report that still waits for its turn. */
  flush(task: LiveTask): void
}

export function createReports(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly counters: Counters
  readonly progressMs: number
  readonly maxEventChars: number
  readonly budgets: Budgets
}): Reports {
  const { clock, deadlines, journal, counters, progressMs, budgets } = parts
  /** A longer piece would be trimmed whole. */
  const maxChunkChars = Math.min(MAX_PAYLOAD_BYTES, parts.maxEventChars)

  const isTooLate = (task: LiveTask): boolean => {
    if (task.finalStatus === undefined) return false
    counters.lateReports += 1
    return true
  }

  const keep = (task: LiveTask, progress: TaskProgress): void => {
    reportedOf(task).progress = progress
    journal.append(task, 'task.progress', progress)
  }

  const flush = (task: LiveTask): void => {
    const pacing = task.reported?.progressPacing
    if (pacing === undefined) return
    pacing.flush?.disarm()
    pacing.flush = undefined
    const { held } = pacing
    pacing.held = undefined
    if (held === undefined) return
    pacing.lastAtMs = clock.monotonicMs()
    keep(task, held)
  }

  return {
    progress(task, report) {
      const progress = toProgress(report)
      if (isTooLate(task)) return
      const nowMs = clock.monotonicMs()
      const pacing = (reportedOf(task).progressPacing ??= {
        lastAtMs: -Infinity,
        held: undefined,
        flush: undefined,
      })
      const waitMs = pacing.lastAtMs + progressMs - nowMs
      if (waitMs <= 0 && pacing.held === undefined) {
        pacing.lastAtMs = nowMs
        keep(task, progress)
        return
      }
      if (pacing.held !== undefined) counters.coalescedProgress += 1
      pacing.held = progress
      pacing.flush ??= deadlines.after(progressMs, flush, task)
    },

    emit(task, name, payload) {
      checkText('name', name, MAX_EVENT_NAME_CHARS)
      const encoded = encodeJson(payload, MAX_PAYLOAD_BYTES)
      if (encoded.kind === 'refused') {
        throw new TaskError('input_invalid', `The payload of ${quote(name)} cannot be kept: ${encoded.why}.`)
      }
      if (encoded.kind === 'too_large') {
        const size = `at least ${encoded.atLeastBytes} bytes; ${MAX_PAYLOAD_BYTES} are kept at most`
        throw new TaskError('input_invalid', `The payload of ${quote(name)} has ${size}.`)
      }
      if (isTooLate(task)) return
      journal.append(task, 'task.custom', { name, payload: decodeFrozen(encoded.json) }, encoded.json?.length ?? 0)
    },

    output(task, chunk) {
      if (typeof chunk !== 'string') throw badOption('chunk', 'a string', chunk)
      if (isTooLate(task) || chunk === '') return
      for (let from = 0; from < chunk.length;) {
        const piece = partOf(chunk, { from, maxChars: maxChunkChars })
        journal.append(task, 'task.output', { chunk: piece }, piece.length)
        from += piece.length
      }
    },

    usage(task, used) {
      if (typeof used !== 'object') throw badOption('usage', 'an object', used)
      const { tokens: givenTokens = 0, cost: givenCost = 0 } = checkOptionNames('usage', used, ['tokens', 'cost'])
      const tokens = checkAmount('usage.tokens', givenTokens)
      const cost = checkAmount('usage.cost', givenCost)
      if (isTooLate(task)) return
      const reported = reportedOf(task)
      const before = reported.usage ?? { tokens: 0, cost: 0 }
      reported.usage = Object.freeze({ tokens: before.tokens + tokens, cost: before.cost + cost })
      const drawing = task.rare?.budget === undefined ? undefined : budgets.draw(task, { tokens, cost })
      journal.append(task, 'task.usage', reported.usage)
      if (drawing !== undefined) budgets.enforce(task, drawing)
    },

    noteLate: () => void (counters.lateReports += 1),

    flush,
  }
}

function checkAmount(name: string, value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value
  throw badOption(name, 'a non-negative finite number', value)
}

function toProgress(report: ProgressReport): TaskProgress {
  if (typeof report === 'number') return Object.freeze({ fraction: checkFraction(report) })
  if (typeof report !== 'object' || report === null) throw badOption('progress', 'a fraction or an object', report)
  checkOptionNames('progress', report, ['done', 'total', 'note'])
  const { done, total, note } = report
  if (done !== undefined) checkAmount('progress.done', done)
  if (total !== undefined) checkAmount('progress.total', total)
  if (note !== undefined && typeof note !== 'string') throw badOption('progress.note', 'a string', note)
  const hasFraction = done !== undefined && total !== undefined && total > 0
  const progress: { -readonly [Key in keyof TaskProgress]: TaskProgress[Key] } = {}
  if (hasFraction) progress.fraction = Math.min(1, done / total)
  if (done !== undefined) progress.done = done
  if (total !== undefined) progress.total = total
  if (note !== undefined) progress.note = partOf(note, { from: 0, maxChars: MAX_NOTE_CHARS })
  return Object.freeze(progress)
}

function checkFraction(value: number): number {
  if (value >= 0 && value <= 1) return value
  throw badOption('progress', 'a fraction between 0 and 1', value)
}
