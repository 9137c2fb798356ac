/** What a model may do next about a task, as far as it has the tools for it. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { TaskRecord } from '../../ports/task-record.ts'
import type { ControlParts } from './control-tool.ts'

/** Nothing, when there is no tool for it. */
export function nextStep({ names }: Pick<ControlParts, 'names'>, { status, resultBytes }: TaskRecord): string {
  if (!isFinalStatus(status)) return names.has('task_wait') ? 'task_wait waits for its end.' : ''
  if (!names.has('task_result') || (status === 'completed' && resultBytes === undefined)) return ''
  return status === 'completed' ? 'task_result reads its result.' : 'task_result reads what it left behind.'
}
