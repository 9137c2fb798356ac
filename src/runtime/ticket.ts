/** What a caller, and the model behind it, is told about work that goes on. */
import { isFinalStatus, type TaskStatus } from '../../machines/vocabulary.ts'
import type { Ticket } from '../ports/task-handle.ts'
import { quote } from '../options.ts'
import type { Durability, OpenQuestion } from '../ports/task-record.ts'
import type { LiveTask } from './live-task.ts'
import { statusOf } from './task-status.ts'
import { openQuestionsOf } from './stored-record.ts'

interface Ticketed {
  readonly taskId: string
  readonly tool: string
  readonly status: TaskStatus
  readonly targets: readonly string[]
  readonly questions?: readonly OpenQuestion[] | undefined
}

interface Kept {
  readonly isSaved: boolean
  readonly durability: Durability
}

export function createTicket(
  { taskId, tool, status, targets, questions }: Ticketed,
  { isSaved, durability }: Kept,
): Ticket {
  const target = targets[0]
  return Object.freeze({
    taskId,
    tool,
    status,
    text: ticketText({ taskId, tool, status, target, questions: questions ?? [] }),
    ...(target === undefined ? {} : { target }),
    persisted: isSaved && durability !== 'memory',
    durability,
  })
}

export function createLiveTicket(task: LiveTask, kept: Kept): Ticket {
  const { taskId, targets, spec } = task
  const questions = openQuestionsOf(task)
  return createTicket({ taskId, tool: spec.tool, status: statusOf(task), targets, questions }, kept)
}

/** What a model reads instead of a result: what is so, and nothing that only some hosts have. */
function ticketText(ticket: {
  readonly taskId: string
  readonly tool: string
  readonly status: TaskStatus
  readonly target: string | undefined
  readonly questions: readonly OpenQuestion[]
}): string {
  const { taskId, tool, status, target, questions } = ticket
  if (isFinalStatus(status)) {
    return `The call to ${tool} has ended as task ${taskId} (${status}). Ask for its result with this id.`
  }
  const where = target === undefined ? 'Ask for its result later with this id.' : `Its result goes to ${target}.`
  const keys = questions.map(({ key }) => quote(key)).join(', ')
  const wants = keys === '' ? '' : `It waits for an answer to ${keys}. `
  return `The call to ${tool} goes on in the background as task ${taskId} (${status}). ${wants}${where}`
}
