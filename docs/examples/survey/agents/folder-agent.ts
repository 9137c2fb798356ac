/**
 * The sub-agent for one folder: tools for each file, and a sub-agent like itself for each subfolder.
 *
 * 1. It works on a few files and a few subfolders at a time. A call that got a ticket does not hold up the next file.
 * 2. What fails or is cancelled below it is noted and left out; the rest goes on.
 * 3. When it has to stop, or no new work is taken any more, it ends with what it has.
 */
import { basename, relative } from 'node:path'
import { defineTool, isTaskError, type RunOutcome, type Session, type ToolDefinition } from 'outlive'
import { inLanes, whileWanted } from '../lanes.ts'
import { listFolder, type ListedFile } from '../listing.ts'
import type { PickTools } from '../tools/file-tools.ts'
import { addFile, addFolder, createTotals, type FileFacts, type Finding, type Totals } from '../totals.ts'

const FILE_LANES = 4
const FOLDER_LANES = 4
/** Deeper than this, subfolders come one by one: otherwise a wide tree would be live all at once. */
const WIDE_DEPTH = 4
/** Files of one folder that may have calls out with a ticket. */
const MAX_LATE_FILES = 32

/** How much a folder held, as its sub-agent says in a `surveyed` event. */
export type Surveyed = Pick<Totals, 'files' | 'folders' | 'bytes' | 'lines'>

export type FolderAgent = ToolDefinition<{ readonly folder: string }, Totals>

export function createFolderAgent(parts: {
  readonly session: Session
  readonly root: string
  readonly skip: readonly string[]
  readonly pickTools: PickTools
}): FolderAgent {
  const { session, root, skip, pickTools } = parts

  /** The value of a quick call is here; that of a ticket is waited for. */
  const collect = async (outcome: RunOutcome<Finding>): Promise<Finding> => {
    if (outcome.kind === 'inline') return outcome.value
    return (await session.result(outcome.ticket.taskId, { waitMs: Infinity })) as Finding
  }

  const folderAgent: FolderAgent = defineTool({
    name: 'folder',
    policy: { timeoutMs: Infinity },
    async run({ folder }, ctx) {
      const totals = createTotals()
      const { files, folders, unreadable } = await listFolder(folder, skip)
      totals.unreadable = unreadable.length
      const isWanted = (): boolean => totals.isComplete && !ctx.signal.aborted

      let done = 0
      const advance = (): void => {
        done += 1
        ctx.progress({ done, total: files.length + folders.length })
      }

      const note = (error: unknown): void => {
        if (ctx.signal.aborted || isRefusal(error)) totals.isComplete = false
        else totals.unreadable += 1
      }

      const addWhenWhole = async (file: ListedFile, calls: Promise<RunOutcome<Finding>>[]): Promise<void> => {
        const facts: FileFacts = { path: relative(root, file.path), bytes: file.bytes }
        const findings = await Promise.allSettled(calls.map(async (call) => collect(await call)))
        const failed = findings.find((finding) => finding.status === 'rejected')
        for (const finding of findings) if (finding.status === 'fulfilled') Object.assign(facts, finding.value)
        if (failed !== undefined) note(failed.reason)
        if (!isWanted() && failed !== undefined) return
        addFile(totals, facts)
        advance()
      }

      const late = new Set<Promise<void>>()
      const surveyFile = async (file: ListedFile): Promise<void> => {
        const description = basename(file.path)
        const calls = pickTools(file.bytes).map((tool) => ctx.run(tool, file, { description }))
        const whole = addWhenWhole(file, calls).finally(() => late.delete(whole))
        late.add(whole)
        // Each call answers within its inline time: with a value, an error or a ticket.
        await Promise.allSettled(calls)
        if (late.size >= MAX_LATE_FILES) await Promise.race(late)
      }

      const surveyFolder = async (subfolder: string): Promise<void> => {
        const description = relative(root, subfolder)
        try {
          const child = await ctx.spawn(folderAgent, { folder: subfolder }, { description })
          addFolder(totals, await child.result({ waitMs: Infinity }))
        } catch (error) {
          if (isTaskError(error, 'task_cancelled') && !ctx.signal.aborted) totals.cancelled.push(description)
          else note(error)
        }
        advance()
      }

      await Promise.all([
        inLanes(whileWanted(files, isWanted), FILE_LANES, surveyFile),
        inLanes(whileWanted(folders, isWanted), ctx.depth < WIDE_DEPTH ? FOLDER_LANES : 1, surveyFolder),
      ])
      await Promise.all(late)
      if (isWanted()) {
        const { files: fileCount, folders: folderCount, bytes, lines } = totals
        ctx.emit('surveyed', { files: fileCount, folders: folderCount, bytes, lines } satisfies Surveyed)
      }
      return totals
    },
  })
  return folderAgent
}

/** Whether a call was refused because the end is near, not because something is wrong with it. */
function isRefusal(error: unknown): boolean {
  return isTaskError(error, 'supervisor_closed') || isTaskError(error, 'parent_stopping')
}
