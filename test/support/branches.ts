/** Trees of tasks that a test grows, and the whole log of what became of them. */
import type { StreamItem, TaskContext, TaskStoppedError, ToolDefinition, ToolPolicy } from 'outlive'
import { isTaskError, isTaskEvent } from 'outlive'
import { verifyLog, type LawBreach, type VerifyOptions } from 'outlive/testing'
import { collect, isLateStore, type Harness } from './setup.ts'

export interface Branch {
  readonly ctx: TaskContext
  /** How many children each task below still has to spawn, level by level. */
  readonly widths: readonly number[]
  /** The reasons of its signal, in the order in which it fired. */
  readonly reasons: TaskStoppedError[]
  readonly resolve: (value?: unknown) => void
  readonly reject: (error: unknown) => void
}

export interface Branches {
  /** Called with widths: `[2, 3]` is a task with two children that have three each. */
  readonly tool: ToolDefinition<readonly number[], unknown>
  /** Every call so far, by the id of its task, in the order of the starts. */
  readonly byId: ReadonlyMap<string, Branch>
  /** The ids in the order in which their signals fired. */
  readonly signalled: readonly string[]
  at(depth: number): readonly Branch[]
  /** The only call at this depth. */
  only(depth: number): Branch
}

export function createBranches(
  options: { readonly ignoresSignal?: boolean; readonly policy?: ToolPolicy } = {},
): Branches {
  const byId = new Map<string, Branch>()
  const signalled: string[] = []

  const tool: Branches['tool'] = {
    name: 'branch',
    policy: { inlineMs: 0, ...options.policy },
    async run(widths, ctx) {
      const ended = new Promise((resolve, reject) => {
        const reasons: TaskStoppedError[] = []
        byId.set(ctx.taskId, { ctx, widths, reasons, resolve, reject })
        ctx.signal.addEventListener('abort', () => {
          reasons.push(ctx.signal.reason as TaskStoppedError)
          signalled.push(ctx.taskId)
          if (options.ignoresSignal !== true) reject(ctx.signal.reason as Error)
        })
      })
      // Whoever is stopped while it still spawns has its rejection here too.
      ended.catch(() => undefined)
      const [width = 0, ...below] = widths
      for (let index = 0; index < width; index += 1) await ctx.spawn(tool, below)
      return ended
    },
  }

  const at = (depth: number): Branch[] => [...byId.values()].filter(({ ctx }) => ctx.depth === depth)
  return {
    tool,
    byId,
    signalled,
    at,
    only(depth) {
      const [branch, ...others] = at(depth)
      if (branch === undefined || others.length > 0) throw new Error(`${at(depth).length} branches at depth ${depth}`)
      return branch
    },
  }
}

/** Everything of record stays, so that the whole log can be read in the end. */
export const KEEP_ALL = { maxFinished: Infinity, finishedMs: Infinity } as const

/** The whole log over all owners, as it is kept. */
export async function wholeLog({ tasks, settle }: Pick<Harness, 'tasks' | 'settle'>): Promise<StreamItem[]> {
  const reading = new AbortController()
  const { items, ended } = collect(tasks.operator.events({ signal: reading.signal }))
  await settle()
  reading.abort()
  await ended
  return items
}

/** The types of the events of one task. */
export function typesOf(log: readonly StreamItem[], taskId: string): string[] {
  return log.filter((item) => isTaskEvent(item) && item.taskId === taskId).map(({ type }) => type)
}

/**
 * What breaks the laws of a log. Commits of different tasks have no order in a store that answers late, so there the
 * start of a child may be told after the stop of its parent although it came before.
 */
export function breachesOf(log: readonly StreamItem[], options: VerifyOptions = {}): LawBreach[] {
  return verifyLog(log, options).filter(({ law }) => !(isLateStore && law === 5))
}

/** The code of an error of the library, or what else was thrown, as text. */
export function codeOf(error: unknown): string {
  return isTaskError(error) ? error.code : String(error)
}
