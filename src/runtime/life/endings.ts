/** What an ended task leaves: its result as JSON, the data of its last event, and what has to be delivered. */
import type { TaskFailure } from '../../../machines/vocabulary.ts'
import { requestDelivery } from '../../delivery/entries.ts'
import type { Settings } from '../../settings.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { TaskEventData } from '../../ports/task-event.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import { cutResult, type KeptResult } from '../values/cut-result.ts'
import { createFailure } from '../values/failure.ts'
import { encodeJson } from '../values/json.ts'
import type { LiveTask } from '../live-task.ts'
import { isAttached } from '../task-status.ts'

/** How much of a result is kept, and what becomes of a larger one. */
type ResultLimits = Pick<Settings['retention'], 'maxResultBytes' | 'oversizeResult'>

/** The largest result that is kept beside its record, in bytes of JSON. */
const MAX_SPILLED_BYTES = 64 * 1024 * 1024

/** Most ends have nobody to tell, and share that they have not. */
const NONE: readonly never[] = Object.freeze([])

/** Keeps the result of a task of record as JSON. Gives why it cannot be kept; an ephemeral call keeps none. */
export function keepResult(task: LiveTask, value: unknown, limits: ResultLimits): TaskFailure | undefined {
  if (task.log === undefined) return undefined
  const kept = toKeptResult(value, limits)
  if (kept !== undefined && 'code' in kept) return kept
  task.result = kept
  return undefined
}

function toKeptResult(value: unknown, limits: ResultLimits): KeptResult | TaskFailure | undefined {
  const { maxResultBytes, oversizeResult } = limits
  const maySpill = oversizeResult === 'spill'
  const encoded = encodeJson(value, maySpill ? Math.max(MAX_SPILLED_BYTES, maxResultBytes) : maxResultBytes)
  switch (encoded.kind) {
    case 'json': {
      const { json, bytes } = encoded
      return json === undefined ? undefined : { json, bytes, isCut: false, isSpilled: bytes > maxResultBytes }
    }
    case 'refused':
      return createFailure('result_unserialisable', `The result cannot be kept: ${encoded.why}.`)
    case 'too_large': {
      const mayCut = oversizeResult === 'truncate'
      const cut = mayCut && typeof value === 'string' ? cutResult(value, maxResultBytes) : undefined
      if (cut !== undefined) return cut
      const maxBytes = maySpill ? MAX_SPILLED_BYTES : maxResultBytes
      const size = `at least ${encoded.atLeastBytes} bytes; ${maxBytes} are kept at most`
      const hint = mayCut && typeof value !== 'string' ? ', and only a string can be cut' : ''
      return createFailure('result_too_large', `The result has ${size}${hint}.`)
    }
  }
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
export function outboxOf(task: LiveTask, createId: IdSource): readonly OutboxEntry[] {
  if (task.targets.length === 0 || isAttached(task)) return NONE
  return task.targets.map((target) =>
    requestDelivery({
      deliveryId: createId(),
      task: { taskId: task.taskId, owner: task.spec.owner, conversation: task.spec.conversation },
      target,
      kind: 'end',
      node: task.log?.node,
      at: task.endedAt ?? task.createdAt,
    }),
  )
}
