/** What a caller, and the model behind it, is told about work that goes on. */
import type { TaskStatus } from '../../machines/vocabulary.ts'
import type { Ticket } from '../ports/task-handle.ts'
import type { Durability } from '../ports/task-record.ts'
import { statusOf, type LiveTask } from './live-task.ts'

interface Ticketed {
  readonly taskId: string
  readonly tool: string
  readonly status: TaskStatus
  readonly targets: readonly string[]
}

interface Kept {
  readonly isSaved: boolean
  readonly durability: Durability
}

export function createTicket({ taskId, tool, status, targets }: Ticketed, { isSaved, durability }: Kept): Ticket {
  const target = targets[0]
  return Object.freeze({
    taskId,
    tool,
    status,
    text: ticketText({ taskId, tool, status, target }),
    ...(target === undefined ? {} : { target }),
    persisted: isSaved && durability !== 'memory',
    durability,
  })
}

export function createLiveTicket(task: LiveTask, kept: Kept): Ticket {
  const { taskId, targets, spec } = task
  return createTicket({ taskId, tool: spec.tool, status: statusOf(task), targets }, kept)
}

/** The sentence a model reads instead of a result. */
function ticketText(ticket: {
  readonly taskId: string
  readonly tool: string
  readonly status: string
  readonly target: string | undefined
}): string {
  const where =
    ticket.target === undefined ? 'Ask for its result later with this id.' : `Its result goes to ${ticket.target}.`
  return `The call to ${ticket.tool} goes on in the background as task ${ticket.taskId} (${ticket.status}). ${where}`
}
