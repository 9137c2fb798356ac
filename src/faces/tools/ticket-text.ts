/** What a model with control tools reads when a call went to the background. */
import type { Ticket } from '../../ports/task-handle.ts'
import type { ControlToolName } from './control-tool.ts'

const USES: readonly { readonly tool: ControlToolName; readonly use: string }[] = [
  { tool: 'task_check', use: 'task_check tells how far it is' },
  { tool: 'task_wait', use: 'task_wait waits for its end' },
  { tool: 'task_result', use: 'task_result reads its result once it has ended' },
  { tool: 'task_cancel', use: 'task_cancel stops it' },
  { tool: 'task_send', use: 'task_send tells it something' },
  { tool: 'task_answer', use: 'task_answer answers what it asks' },
  { tool: 'task_redirect', use: 'task_redirect sends its result elsewhere' },
]

/**
 * The text of a ticket, with what the model can do about the task: it names the tools of the set, and no others. A model
 * without control tools reads `ticket.text`.
 *
 * @example
 * ```ts
 * import { createTaskSupervisor } from 'outlive'
 * import { controlTools, ticketText } from 'outlive/tools'
 *
 * const tasks = createTaskSupervisor()
 * const tools = controlTools(tasks)
 * const outcome = await tasks.run(async () => 'late', undefined, { inlineMs: 0 })
 * if (outcome.kind === 'background') console.log(ticketText(outcome.ticket, tools)) // … task_result reads its result …
 * await tasks.shutdown()
 * ```
 */
export function ticketText(ticket: Ticket, tools: readonly { readonly name: string }[]): string {
  return ticketTextFor(ticket, new Set(tools.map(({ name }) => name)))
}

export function ticketTextFor({ taskId, text }: Ticket, names: ReadonlySet<string>): string {
  const uses = USES.filter(({ tool }) => names.has(tool)).map(({ use }) => use)
  const said = `${text} The call was made, so do not make it again.`
  return uses.length === 0 ? said : `${said} With the id ${taskId}, ${uses.join(', ')}.`
}
