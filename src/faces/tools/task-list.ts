/** `task_list`: the owner's tasks, oldest first, as many as one answer has room for. */
import {
  FINAL_STATUSES,
  isFinalStatus,
  LIVE_STATUSES,
  TASK_STATUSES,
  type TaskStatus,
} from '../../../machines/vocabulary.ts'
import { capText } from '../../kept-text.ts'
import type { TaskPage } from '../../ports/session.ts'
import type { TaskRecord } from '../../ports/task-record.ts'
import { answerWith, countOf, withData } from './answers.ts'
import { CHANGES_NOTHING, type ControlParts, type ControlToolSpec } from './control-tool.ts'
import { text } from './parameters.ts'
import { secondsSince } from './record-texts.ts'

const MAX_ROWS = 50
const MAX_DESCRIPTION_CHARS = 200

const parameters = {
  status: text('Which tasks: live (the default), ended, all, or one status such as failed.', {
    choices: ['live', 'ended', 'all', ...TASK_STATUSES],
  }),
  after: text('For the next page: the `after` that the page before named.'),
}

export function createTaskList(parts: ControlParts): ControlToolSpec<typeof parameters> {
  const read = (status: string, after: string, limit: number): Promise<TaskPage> =>
    parts.session.list({ status: statusesOf(status), limit, ...(after === '' ? {} : { after }) })

  /** A page as large as one answer takes: a page that was cut here would have no cursor to go on from. */
  const readFitting = async (status: string, after: string, self: string | undefined): Promise<[TaskPage, string]> => {
    for (let limit = MAX_ROWS; ;) {
      const page = await read(status, after, limit)
      const rows = page.tasks.map((record) => rowOf(record, parts.now(), self))
      let fitting = rows.length
      while (fitting > 1 && !parts.fits(withData(headOf(page, status), rows.slice(0, fitting).join('\n')))) fitting -= 1
      if (fitting === rows.length || limit === 1) return [page, rows.join('\n')]
      limit = Math.max(1, Math.min(fitting, limit - 1))
    }
  }

  return {
    name: 'task_list',
    description: 'Lists your tasks with their ids and how they stand, oldest first, a page at a time.',
    parameters,
    annotations: CHANGES_NOTHING,
    async answer({ status, after }) {
      const [page, rows] = await readFitting(status, after, await parts.findSelf())
      return answerWith(parts, headOf(page, status), rows)
    },
  }
}

/** What is no status is taken for the default. */
function statusesOf(status: string): readonly TaskStatus[] {
  const all = TASK_STATUSES
  if (status === 'all') return all
  if (status === 'ended') return FINAL_STATUSES
  const one = all.find((known) => known === status)
  return one === undefined ? LIVE_STATUSES : [one]
}

function headOf({ tasks, next }: TaskPage, status: string): string {
  const statuses = statusesOf(status)
  const kind = statuses === LIVE_STATUSES ? 'live' : statuses.length === 1 ? statuses[0] : status
  const noun = kind === 'all' ? 'task' : `${kind} task`
  if (tasks.length === 0) {
    return kind === 'live'
      ? 'There are no live tasks. Status "ended" lists those that have ended.'
      : `There are no ${noun}s.`
  }
  const more =
    next === undefined ? 'There are no more.' : `For more, call task_list with after ${JSON.stringify(next)}.`
  return `${countOf(tasks.length, noun)}. ${more}`
}

/** One line, in which what others wrote is quoted and so cannot pass for a line of its own. */
function rowOf(record: TaskRecord, now: number, self: string | undefined): string {
  const { taskId, tool, name, status, parentId, description } = record
  const fraction = record.progress?.fraction
  return JSON.stringify({
    task_id: taskId,
    tool,
    name,
    status,
    seconds: secondsSince(record, now),
    progress: isFinalStatus(status) || fraction === undefined ? undefined : Math.floor(fraction * 100) / 100,
    parent: parentId,
    self: taskId === self ? true : undefined,
    description: description === undefined ? undefined : capText(description, MAX_DESCRIPTION_CHARS),
  })
}
