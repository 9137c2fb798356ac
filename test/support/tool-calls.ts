/** Control tools as a model meets them: called by their names, answered by texts. */
import type { Session } from 'outlive'
import { controlTools, type ControlTool, type ControlToolName, type ControlToolsOptions } from 'outlive/tools'

/** What every tool answers to an id that names no kept task of the owner. */
export const TASK_NOT_FOUND_TEXT =
  'There is no such task among yours. Ids are told by tickets; use one as it was given. task_list shows the tasks there are.'

export type ToolCalls = (
  name: ControlToolName,
  args?: unknown,
  options?: { readonly signal?: AbortSignal },
) => Promise<string>

/** @throws Error when the set does not have the tool */
export function callsOf(tools: readonly ControlTool[]): ToolCalls {
  return (name, args, options) => requireTool(tools, name).execute(args, options)
}

export function requireTool(tools: readonly ControlTool[], name: string): ControlTool {
  const tool = tools.find((known) => known.name === name)
  if (tool === undefined) throw new Error(`there is no ${name}`)
  return tool
}

/** One call with a set made for it. */
export function callTool(
  session: Session,
  name: ControlToolName,
  args: unknown,
  options?: ControlToolsOptions,
): Promise<string> {
  return callsOf(controlTools(session, options))(name, args)
}

/**
 * An answer as a reader of CommonMark takes it: what stands before the fence, and what is in it. The fence has to close
 * with the last line, and nothing before that may close it.
 *
 * @throws Error when there is no fence, or anything is left behind it
 */
export function readFenced(answer: string): { readonly head: string; readonly data: string } {
  const opening = /^(?<fence>`{3,})\n/m.exec(answer)
  const fence = opening?.groups?.['fence'] ?? ''
  if (opening === null) throw new Error(`there is no fence in ${answer}`)
  const from = opening.index + opening[0].length
  const rest = answer.slice(from)
  const closing = new RegExp(`(?<=^|[\\r\\n]) {0,3}\`{${fence.length},}[ \\t]*(?=$|[\\r\\n])`, 'u').exec(rest)
  if (closing === null || closing[0] !== fence || closing.index + fence.length !== rest.length) {
    throw new Error(`the fence does not close with the last line of ${answer}`)
  }
  return { head: answer.slice(0, opening.index), data: rest.slice(0, closing.index - 1) }
}

/** All pages of a result, as far as the answers say that there are any. */
export async function readPages(call: ToolCalls, taskId: string): Promise<readonly string[]> {
  const answers: string[] = []
  for (let page = 1; ; page += 1) {
    const answer = await call('task_result', { task_id: taskId, page })
    answers.push(answer)
    const { head } = readFenced(answer)
    if (!head.includes(`call task_result with page ${page + 1}.`)) return answers
  }
}
