/**
 * The host: sets the supervisor up, starts the survey in it, sends its report to a file and its headline to the console and to a
 * webhook, and sees to it that all ends.
 *
 * 1. A shutdown of `tasks` drains: no new work is taken, running calls have its `graceMs`, the rest is cancelled.
 * 2. Once `whenDone` has resolved, nothing runs any more, no child process either.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  consoleChannel,
  createTaskSupervisor,
  fileChannel,
  isTaskError,
  isTaskEvent,
  type DeliveryRecord,
  type Session,
  type TaskRecord,
  type TaskSupervisor,
} from 'outlive'
import { webhookChannel } from 'outlive/channels/webhook'
import { createDuplicatesAgent } from './agents/duplicates-agent.ts'
import { createFolderAgent } from './agents/folder-agent.ts'
import { createSurveyAgent, type Report } from './agents/survey-agent.ts'
import type { SurveyOptions } from './options.ts'
import { labelOf } from './facts.ts'
import { headline } from './headline.ts'
import { startReceiver } from './receiver.ts'
import { createSurveyLog, type SurveyLog } from './survey-log.ts'
import { msText } from './texts.ts'
import { createFileTools } from './tools/file-tools.ts'

const REPORT_FILE = 'survey-report.md'

export interface Ending {
  readonly record: TaskRecord
  /** Absent when the survey failed, or was stopped before it had anything. */
  readonly report: Report | undefined
  readonly delivery: DeliveryRecord | undefined
  readonly reportPath: string
  /** What the console was sent. */
  readonly printed: string
  /** What the webhook was sent, and its receiver could verify. */
  readonly received: { readonly url: string; readonly texts: readonly string[] }
}

export interface SurveyRun {
  /** Shut down when the survey is done, or earlier by who is in a hurry. */
  readonly tasks: Pick<TaskSupervisor, 'shutdown'>
  readonly session: Session
  readonly log: SurveyLog
  readonly startedAt: number
  /** Cancels the folder with the most live tasks below it. */
  cancelBiggest(): Promise<void>
  /** Answers the question that is open, if one is. */
  answer(approved: boolean): Promise<void>
  /** Says what an early end means for the calls that run. */
  sayEnding(): void
  whenDone(): Promise<Ending>
}

export async function startSurvey(options: SurveyOptions): Promise<SurveyRun> {
  const reportFolder = options.report ?? mkdtempSync(join(tmpdir(), 'outlive-survey-'))
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const receiver = await startReceiver(secret)
  // Printed when the view is gone: both write to the terminal.
  let printed = ''
  const tasks = createTaskSupervisor({
    channels: {
      file: fileChannel({ folder: reportFolder }),
      console: consoleChannel({
        stream: {
          write(text, done) {
            printed += text
            done()
          },
        },
      }),
      webhook: webhookChannel({
        endpoints: { followers: { url: receiver.url, secret } },
        // It is on this machine, which webhooks do not reach otherwise.
        allow: ['127.0.0.1'],
        allowHttp: true,
        allowPorts: [receiver.port],
      }),
    },
    // The report is read from its file, whole.
    notices: { maxChars: Infinity },
    inlineMs: options.inlineMs,
    // Folders nest as deep as the file system lets them.
    limits: { maxDepth: 5_000, maxRunning: options.atOnce, maxQueued: Infinity },
  })
  const session = tasks.session({ owner: 'survey' })
  const log = createSurveyLog(session)
  const { folder, skip, compareMs, askMs, tools: names, search, flaky } = options
  const pickTools = createFileTools({ names, search, flaky })
  const folderAgent = createFolderAgent({ session, root: folder, skip, pickTools })
  const agent = createSurveyAgent({ folderAgent, duplicatesAgent: createDuplicatesAgent(skip), compareMs, askMs })

  if (options.cancel !== undefined) cancelOnceItWorks(session, options.cancel)
  const survey = await session.spawn(agent, { folder }, { name: 'survey', description: folder })
  await survey.redirect(`file:${REPORT_FILE}`)

  const tellFollowers = async (report: Report): Promise<void> => {
    try {
      const task = await session.spawn(headline, report, { deliverTo: ['console', 'webhook:followers'] })
      await task.wait()
    } catch (error) {
      // Somebody was in a hurry.
      if (!isTaskError(error, 'supervisor_closed')) throw error
    }
  }

  const whenDone = async (): Promise<Ending> => {
    const record = await survey.wait({ waitMs: Infinity })
    const report = record.status === 'completed' ? await survey.result() : (record.partial as Report | undefined)
    if (report !== undefined) await tellFollowers(report)
    // The shutdown waits for what is being delivered.
    await tasks.shutdown({ graceMs: options.graceMs })
    await receiver.close()
    const [delivery] = await session.deliveries(survey.taskId)
    const received = { url: receiver.url, texts: receiver.texts() }
    return { record, report, delivery, reportPath: join(reportFolder, REPORT_FILE), printed, received }
  }
  const done = whenDone()

  return {
    tasks,
    session,
    log,
    startedAt: Date.now(),
    async cancelBiggest() {
      const biggest = findBiggest(await listLive(session))
      if (biggest !== undefined) await session.cancel(biggest.taskId, { note: 'the biggest that was running' })
    },
    async answer(approved) {
      const { questions = [] } = await survey.record()
      for (const { key } of questions) await survey.answer(key, { approved })
    },
    sayEnding() {
      const text = `no new work is taken, running calls have ${msText(options.graceMs)}; once more to end at once`
      log.say({ kind: 'ending', text, depth: 0 })
    },
    whenDone: () => done,
  }
}

/** The live tasks now: `live$` gives them at once to whoever subscribes. */
export function listLive(session: Session): Promise<readonly TaskRecord[]> {
  return new Promise((resolve, reject) => {
    session.live$.subscribe({ next: resolve, error: reject }).unsubscribe()
  })
}

/** The folder with the most live tasks below it. The folder that holds all others counts only when there is no other. */
export function findBiggest(live: readonly TaskRecord[]): TaskRecord | undefined {
  const byId = new Map(live.map((record) => [record.taskId, record]))
  const sizes = new Map<string, number>()
  for (const { parentId } of live) {
    for (let at = parentId; at !== undefined; at = byId.get(at)?.parentId) sizes.set(at, (sizes.get(at) ?? 0) + 1)
  }
  const folders = live.filter(({ tool, status }) => tool === 'folder' && status !== 'stopping')
  const below = folders.filter(({ depth }) => depth > 1)
  const size = ({ taskId }: TaskRecord): number => sizes.get(taskId) ?? 0
  return (below.length > 0 ? below : folders).sort((a, b) => size(b) - size(a))[0]
}

/** Cancels the sub-agent of one folder as soon as a task below it has started, so that there is a subtree to cancel. */
function cancelOnceItWorks(session: Session, folder: string): void {
  let meant: string | undefined
  const watching = session.events$({ after: 'now' }).subscribe((item) => {
    if (!isTaskEvent(item)) return
    if (item.type === 'task.queued' && item.tool === 'folder' && labelOf(item.tool, item.description) === folder) {
      meant = item.taskId
    }
    if (item.type !== 'task.started' || meant === undefined || item.parentId !== meant) return
    watching.unsubscribe()
    // Nobody waits for the end of the subtree here: the log tells of it, and the parent goes on without it.
    session.cancel(meant, { note: 'asked for with --cancel' }).catch(() => undefined)
  })
}
