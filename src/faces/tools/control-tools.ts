/** The control tools of one session: which of them a model gets, and what they share. */
import { badOption, checkBoolean, checkOptionNames, orDefault } from '../../options.ts'
import type { Session } from '../../ports/session.ts'
import type { ControlParts, ControlTool, ControlToolName, ControlToolSpec } from './control-tool.ts'
import {
  checkSession,
  checkTexts,
  CONTROL_TOOLS_OPTIONS,
  toFindSelf,
  toFits,
  toNow,
  toReport,
  type ControlToolsOptions,
} from './control-tools-options.ts'
import type { Parameters } from './parameters.ts'
import { toStartables } from './startable.ts'
import { createTaskAnswer } from './task-answer.ts'
import { createTaskCancel } from './task-cancel.ts'
import { createTaskCheck } from './task-check.ts'
import { createTaskList } from './task-list.ts'
import { createTaskRedirect } from './task-redirect.ts'
import { createTaskResult } from './task-result.ts'
import { createTaskSend } from './task-send.ts'
import { createTaskStart } from './task-start.ts'
import { createTaskWait } from './task-wait.ts'
import { toControlTool } from './to-control-tool.ts'

/** What decides whether a tool is there. */
interface Policy {
  readonly readOnly: boolean
  readonly redirectTo: readonly string[]
  readonly start: ControlParts['start']
  readonly mayAnswer: boolean
}

interface Entry {
  readonly make: (parts: ControlParts) => ControlTool
  readonly isThere: (policy: Policy) => boolean
}

const always = (): boolean => true

/** In the order in which a model reads them. */
const TOOLS: Readonly<Record<ControlToolName, Entry>> = {
  task_start: entry(createTaskStart, ({ start }) => start.length > 0),
  task_check: entry(createTaskCheck, always),
  task_wait: entry(createTaskWait, always),
  task_list: entry(createTaskList, always),
  task_result: entry(createTaskResult, always),
  task_cancel: entry(createTaskCancel, ({ readOnly }) => !readOnly),
  task_send: entry(createTaskSend, ({ readOnly }) => !readOnly),
  task_redirect: entry(createTaskRedirect, ({ readOnly, redirectTo }) => !readOnly && redirectTo.length > 0),
  task_answer: entry(createTaskAnswer, ({ readOnly, mayAnswer }) => !readOnly && mayAnswer),
}

function entry<Known extends Parameters>(
  create: (parts: ControlParts) => ControlToolSpec<Known>,
  isThere: Entry['isThere'],
): Entry {
  return { make: (parts) => toControlTool(create(parts), parts), isThere }
}

const ALL_NAMES = Object.keys(TOOLS) as readonly ControlToolName[]

/**
 * The tools that a model works on one owner's tasks with, as plain definitions for any model SDK. They see what the session
 * sees and nothing else, whatever a model writes.
 *
 * Which ones there are follows the options: `task_check`, `task_wait`, `task_list` and `task_result`, which change nothing;
 * `task_cancel` and `task_send`; `task_redirect` and `task_start` as far as targets and tools are named for them; `task_answer` where a model
 * may answer for its owner.
 *
 * @throws TypeError naming the option and the value it got, also for a tool of `start` that has no JSON Schema;
 * `not_allowed` for a supervisor that has no owner by itself
 * @example
 * ```ts
 * import { createTaskSupervisor } from 'outlive'
 * import { controlTools } from 'outlive/tools'
 *
 * const tasks = createTaskSupervisor()
 * const tools = controlTools(tasks)
 * const task = await tasks.spawn(async () => 'all about owls', undefined)
 * const result = tools.find(({ name }) => name === 'task_wait')
 * console.log(await result?.execute({ task_id: task.taskId })) // Task … (anonymous): completed. …
 * await tasks.shutdown()
 * ```
 */
export function controlTools(session: Session, options: ControlToolsOptions = {}): readonly ControlTool[] {
  checkSession(session)
  checkOptionNames('options', options, CONTROL_TOOLS_OPTIONS)
  const readOnly = checkBoolean('readOnly', orDefault(options.readOnly, false))
  const redirectTo = [...checkTexts('redirectTo', orDefault(options.redirectTo, []))]
  const start = toStartables(orDefault(options.start, [])).filter(({ policy }) => !readOnly || policy.readOnly === true)
  const mayAnswer = checkBoolean('mayAnswer', orDefault(options.mayAnswer, false))
  const names = namesOf(options, { readOnly, redirectTo, start, mayAnswer })
  const parts: ControlParts = {
    session,
    names: new Set(names),
    redirectTo,
    start,
    fits: toFits(options),
    findSelf: toFindSelf(session, options.self),
    now: toNow(options.clock),
    reportError: toReport(options.onError),
  }
  return Object.freeze(names.map((name) => TOOLS[name].make(parts)))
}

function namesOf(options: ControlToolsOptions, policy: Policy): readonly ControlToolName[] {
  const names = ALL_NAMES.filter((name) => TOOLS[name].isThere(policy))
  if (options.allow === undefined) return names
  const allow = checkTexts('allow', options.allow)
  const unknown = allow.find((name) => !Object.hasOwn(TOOLS, name))
  if (unknown !== undefined) throw badOption('allow', `names of ${ALL_NAMES.join(', ')}`, unknown)
  if (allow.includes('task_redirect') && options.redirectTo === undefined) throw missing('task_redirect', 'redirectTo')
  if (allow.includes('task_answer') && options.mayAnswer === undefined) throw missing('task_answer', 'mayAnswer')
  if (allow.includes('task_start') && options.start === undefined) throw missing('task_start', 'start')
  return names.filter((name) => allow.includes(name))
}

function missing(tool: ControlToolName, option: keyof ControlToolsOptions): TypeError {
  return new TypeError(`allow names ${tool}, which there is only with ${option}`)
}
