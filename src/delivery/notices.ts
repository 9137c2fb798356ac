/** The text of what is sent when a task has ended. */
import { fenced } from '../fenced-text.ts'
import type { StoredRecord } from '../ports/task-record.ts'

/** A header line, then the result or the reason in a fence that nothing in it can close. */
export function endNotice(record: StoredRecord): string {
  const seconds = (((record.endedAt ?? record.createdAt) - (record.startedAt ?? record.createdAt)) / 1_000).toFixed(1)
  const header = `${record.tool} ${record.status} after ${seconds} s (task ${record.taskId})`
  const body = bodyOf(record)
  return body === undefined ? header : `${header}\n${fenced(body)}`
}

function bodyOf(record: StoredRecord): string | undefined {
  if (record.status === 'failed') return record.failure?.message
  if (record.status === 'cancelled') return record.cause?.note
  if (record.resultJson === undefined) return undefined
  const value: unknown = JSON.parse(record.resultJson)
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
}
