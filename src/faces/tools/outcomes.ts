/** How a task ended, with what it gave, a page at a time. What is said here is said by every tool that tells an end. */
import { TaskNotFoundError } from '../../errors.ts'
import type { TaskRecord } from '../../ports/task-record.ts'
import { answerPage } from './answers.ts'
import type { ControlParts } from './control-tool.ts'
import { describeState, describeTarget, failureText, valueText } from './record-texts.ts'

/** The end of a task, read from its record. @throws `task_not_found` */
export async function describeOutcome(parts: ControlParts, record: TaskRecord, page: number): Promise<string> {
  const head = headOf(parts, record)
  if (record.status === 'completed') {
    const value = await parts.session.result(record.taskId)
    return describeValue(parts, head, { value, page })
  }
  const { failure, cause, partial } = record
  const said = [
    failure === undefined ? '' : failureText(failure),
    cause?.note === undefined ? '' : `note on the stop: ${cause.note}`,
  ].filter((text) => text !== '')
  if (partial === undefined && said.length === 0) return `${head} It left nothing behind.`
  const data = [...said, ...(partial === undefined ? [] : [valueText(partial)])].join('\n\n')
  return answerPage(parts, `${head} ${contentOf(said.length > 0, partial !== undefined)}`, { data, page })
}

export function describeValue(
  parts: ControlParts,
  head: string,
  { value, page }: { readonly value: unknown; readonly page: number },
): string {
  if (value === undefined) return `${head} It gave no value.`
  return answerPage(parts, `${head} Its result:`, { data: valueText(value), page })
}

/** The record of a task of the owner's. @throws `task_not_found` */
export async function requireRecord({ session }: ControlParts, taskId: string): Promise<TaskRecord> {
  const record = await session.get(taskId)
  if (record === undefined) throw new TaskNotFoundError()
  return record
}

function headOf(parts: ControlParts, record: TaskRecord): string {
  const cut = record.truncated === true ? 'It was too long to be kept whole: only its beginning is left.' : ''
  return [describeState(record, parts.now()), describeTarget(record), cut].filter((text) => text !== '').join(' ')
}

function contentOf(hasReason: boolean, hasPartial: boolean): string {
  if (!hasPartial) return 'What was said about it:'
  return hasReason
    ? 'What was said about it, and then what it had by then (partial):'
    : 'What it had by then (partial):'
}
