/** What the command line asks for, checked: a mistake becomes one line, never a half-started survey. */
import { mkdirSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { FILE_TOOL_NAMES, type FileToolName } from './tools/file-tools.ts'

export interface SurveyOptions {
  /** What is surveyed. */
  readonly folder: string
  /** Where `survey-report.md` goes; a new temporary folder when absent. */
  readonly report: string | undefined
  /** The text that is searched for. */
  readonly search: string
  readonly tools: readonly FileToolName[]
  /** Names of folders that are left out. */
  readonly skip: readonly string[]
  /** How long a call on a file is awaited before it gets a ticket. */
  readonly inlineMs: number
  /** The budget of the search for similar files; 0 leaves it out. */
  readonly compareMs: number
  /** How long the question waits for an answer before its default is taken; 0 asks nothing. */
  readonly askMs: number
  /** How many calls and sub-agents run at a time, and so how many files are open; those that only wait do not count. */
  readonly atOnce: number
  /** How many of the first child processes fail, so that there is something to try again. */
  readonly flaky: number
  /** How long running calls may go on after Ctrl-C. */
  readonly graceMs: number
  /** The folder below the surveyed one whose subtree is cancelled once it runs. */
  readonly cancel: string | undefined
  readonly isPlain: boolean
}

export type CommandLine =
  | { readonly kind: 'survey'; readonly options: SurveyOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'mistake'; readonly message: string }

export const HELP = `Surveys a folder: a sub-agent per folder, tools per file, all of them supervised tasks.

  npm start                        surveys the project's own folder
  npm start -- FOLDER [flags]      surveys any other

  --plain            lines instead of the live tree (also without a terminal, and where CI is set)
  --search TEXT      what to search for                               (TODO)
  --tools LIST       which tools run on each file                     (${FILE_TOOL_NAMES.join(',')})
  --skip NAME        leave out folders of this name; may be repeated  (node_modules .git dist)
  --inline-ms N      a slower call gets a ticket                      (100)
  --compare-ms N     budget of the search for similar files, 0: none  (3000)
  --ask-ms N         how long a question about it is open, 0: unasked (1500)
  --at-once N        calls that run at a time, the rest is queued     (32)
  --flaky N          gzip processes that fail first, and are retried  (2)
  --cancel PATH      cancel the sub-agent of this subfolder, and all below it
  --report FOLDER    where the report goes                            (a new temporary folder)
  --grace-ms N       what Ctrl-C leaves running calls                 (2000)
  --help

In the terminal: y and n answer the question, c cancels the biggest running subtree, q or Ctrl-C ends early, a second
Ctrl-C at once.
Exit codes: 0 done or left with q, 1 the survey or its report failed, 2 bad arguments, 130 Ctrl-C, 143 SIGTERM.
`

/** Reads the arguments. `baseFolder` is where a relative FOLDER starts. */
export function readCommandLine(args: readonly string[], baseFolder: string): CommandLine {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        plain: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        search: { type: 'string', default: 'TODO' },
        tools: { type: 'string', default: FILE_TOOL_NAMES.join(',') },
        skip: { type: 'string', multiple: true, default: ['node_modules', '.git', 'dist'] },
        'inline-ms': { type: 'string', default: '100' },
        'compare-ms': { type: 'string', default: '3000' },
        'ask-ms': { type: 'string', default: '1500' },
        'at-once': { type: 'string', default: '32' },
        flaky: { type: 'string', default: '2' },
        'grace-ms': { type: 'string', default: '2000' },
        cancel: { type: 'string' },
        report: { type: 'string' },
      },
    })
    if (values.help) return { kind: 'help' }
    if (positionals.length > 1) throw new Error(`one FOLDER at a time, got ${positionals.length}`)
    if (values.search === '') throw new Error('--search must not be empty')
    const options: SurveyOptions = {
      folder: requireFolder(positionals[0], baseFolder),
      report: values.report === undefined ? undefined : makeFolder(values.report, baseFolder),
      search: values.search,
      tools: toToolNames(values.tools),
      skip: values.skip,
      inlineMs: toMs('--inline-ms', values['inline-ms'], 0),
      compareMs: toMs('--compare-ms', values['compare-ms'], 0),
      askMs: toMs('--ask-ms', values['ask-ms'], 0),
      atOnce: toCount('--at-once', values['at-once'], 1),
      flaky: toCount('--flaky', values.flaky, 0),
      graceMs: toMs('--grace-ms', values['grace-ms'], 1),
      cancel: values.cancel?.replace(/^\.?\/+|\/+$/g, ''),
      isPlain: values.plain,
    }
    return { kind: 'survey', options }
  } catch (error) {
    const [line = ''] = (error instanceof Error ? error.message : String(error)).split(/\n|\. To specify/)
    return { kind: 'mistake', message: line }
  }
}

function requireFolder(given: string | undefined, baseFolder: string): string {
  const folder = given === undefined ? process.cwd() : resolve(baseFolder, given)
  const stats = statSync(folder, { throwIfNoEntry: false })
  if (stats === undefined) throw new Error(`there is no folder ${folder}`)
  if (!stats.isDirectory()) throw new Error(`${folder} is not a folder`)
  return folder
}

function makeFolder(given: string, baseFolder: string): string {
  const folder = resolve(baseFolder, given)
  try {
    mkdirSync(folder, { recursive: true })
  } catch (error) {
    throw new Error(`--report ${folder} cannot be a folder`, { cause: error })
  }
  return folder
}

function toToolNames(list: string): FileToolName[] {
  return list.split(',').map((word) => {
    const name = FILE_TOOL_NAMES.find((known) => known === word.trim())
    if (name === undefined) throw new Error(`--tools knows ${FILE_TOOL_NAMES.join(', ')}, not '${word}'`)
    return name
  })
}

function toCount(flag: string, text: string, least: number): number {
  const value = text.trim() === '' ? NaN : Number(text)
  if (Number.isInteger(value) && value >= least) return value
  throw new Error(`${flag} must be a whole number from ${least} up, got '${text}'`)
}

function toMs(flag: string, text: string, least: number): number {
  const value = text.trim() === '' ? NaN : Number(text)
  if (Number.isFinite(value) && value >= least) return value
  throw new Error(`${flag} must be a number of milliseconds from ${least} up, got '${text}'`)
}
