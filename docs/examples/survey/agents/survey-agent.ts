/** The root of the tree: one sub-agent walks the folder, one looks for similar files on a budget. Its result is the report. */
import { approval, defineTool, isTaskError, type TaskContext, type ToolDefinition } from 'outlive'
import type { SimilarPair } from '../tools/compare.ts'
import { createTotals, type Totals } from '../totals.ts'
import type { DuplicatesAgent, EndSoon } from './duplicates-agent.ts'
import type { FolderAgent } from './folder-agent.ts'

const LISTED_PAIRS = 10
/** What the search for similar files may take when everything else is done. */
const HURRY_MS = 1_000

export interface Report {
  readonly folder: string
  readonly totals: Totals
  /** The most similar pairs of files that were found; absent when nobody looked. */
  readonly similar?: readonly SimilarPair[]
}

export type SurveyAgent = ToolDefinition<{ readonly folder: string }, Report>

export function createSurveyAgent(parts: {
  readonly folderAgent: FolderAgent
  readonly duplicatesAgent: DuplicatesAgent
  readonly compareMs: number
  readonly askMs: number
}): SurveyAgent {
  const { folderAgent, duplicatesAgent, compareMs, askMs } = parts

  const findTotals = async (folder: string, ctx: TaskContext): Promise<Totals> => {
    const tree = await ctx.spawn(folderAgent, { folder }, { description: '.' })
    try {
      const totals = await tree.result({ waitMs: Infinity })
      await hurryUp(ctx)
      return totals
    } catch (error) {
      if (!isTaskError(error, 'task_cancelled')) throw error
      const { partial } = await tree.record()
      return { ...((partial as Totals | undefined) ?? createTotals()), isComplete: false }
    }
  }

  /** All files are read, so nothing else is worth waiting for. Who has ended already, or never began, needs no message. */
  const hurryUp = async (ctx: TaskContext): Promise<void> => {
    try {
      const message: EndSoon = { text: 'All files are read: end with what you have.', withinMs: HURRY_MS }
      await ctx.send('duplicates', message)
    } catch (error) {
      if (!isTaskError(error, 'task_not_found') && !isTaskError(error, 'task_final')) throw error
    }
  }

  /** Whoever watches may say no; nobody has to be there. */
  const mayCompare = async (ctx: TaskContext): Promise<boolean> => {
    if (compareMs === 0 || askMs === 0) return compareMs > 0
    const question = 'Look for similar files as well?'
    const options = { schema: approval, answerWithinMs: askMs, default: { approved: true } }
    return (await ctx.ask('similar', question, options)).approved
  }

  const findSimilar = async (folder: string, ctx: TaskContext): Promise<readonly SimilarPair[]> => {
    const duplicates = await ctx.spawn(
      duplicatesAgent,
      { folder },
      { name: 'duplicates', description: 'similar files' },
    )
    const budget = setTimeout(() => {
      // The wait below hears of the end; a cancel of something that has ended just now changes nothing.
      duplicates.cancel({ note: `its budget of ${compareMs} ms is used up` }).catch(() => undefined)
    }, compareMs)
    try {
      const { status, partial } = await duplicates.wait({ waitMs: Infinity })
      return status === 'completed' ? await duplicates.result() : ((partial ?? []) as SimilarPair[])
    } finally {
      clearTimeout(budget)
    }
  }

  return defineTool({
    name: 'survey',
    policy: { timeoutMs: Infinity },
    async run({ folder }, ctx) {
      const [totals, similar] = await Promise.all([
        findTotals(folder, ctx),
        mayCompare(ctx).then((may) => (may ? findSimilar(folder, ctx) : undefined)),
      ])
      return { folder, totals, ...(similar === undefined ? {} : { similar: similar.slice(0, LISTED_PAIRS) }) }
    },
  })
}
