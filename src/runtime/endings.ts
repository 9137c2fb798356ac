/** What an ended task leaves: its result as JSON, the data of its last event, and what has to be delivered. */
import type { TaskFailure } from '../../machines/vocabulary.ts'
import type { IdSource } from '../ports/id-source.ts'
import type { TaskEventData } from '../ports/task-event.ts'
import type { OutboxEntry } from '../ports/task-store.ts'
import { createFailure } from './failure.ts'
import { encodeJson } from './json.ts'
import { isAttached, type LiveTask } from './live-task.ts'

/** Keeps the result of a task of record as JSON. Gives why it cannot be kept; an ephemeral call keeps none. */
export function keepResult(task: LiveTask, value: unknown, maxResultBytes: number): TaskFailure | undefined {
  if (task.log === undefined) return undefined
  const encoded = encodeJson(value)
  if (encoded.kind === 'refused') {
    return createFailure('result_unserialisable', `The result cannot be kept: ${encoded.why}.`)
  }
  if (encoded.bytes > maxResultBytes) {
    const size = `${encoded.bytes} bytes; ${maxResultBytes} are kept at most`
    return createFailure('result_too_large', `The result has ${size}.`)
  }
  task.resultJson = encoded.json
  return undefined
}

/** The data of the terminal event. A task that is final has a cause or a failure wherever its status asks for one. */
export function finalDataOf(task: LiveTask): TaskEventData['task.completed' | 'task.failed' | 'task.cancelled'] {
  const durationMs = Math.max(0, (task.endedAt ?? 0) - (task.startedAt ?? task.endedAt ?? 0))
  const abandoned = task.abandoned ? { abandoned: true } : {}
  if (task.finalStatus === 'failed') {
    task.failure ??= createFailure('interrupted', 'The task was lost.')
    return { durationMs, failure: task.failure, ...abandoned }
  }
  if (task.finalStatus === 'cancelled') {
    task.cause ??= { reason: 'user' }
    return { durationMs, stopCause: task.cause, ...abandoned }
  }
  return { durationMs }
}

/** One delivery for each target of a task that ended without anybody awaiting it inline. */
export function outboxOf(task: LiveTask, createId: IdSource): OutboxEntry[] {
  if (isAttached(task)) return []
  return task.targets.map((target) => ({
    deliveryId: createId(),
    taskId: task.taskId,
    owner: task.spec.owner,
    target,
    requestedAt: task.endedAt ?? task.createdAt,
    state: 'pending',
  }))
}
