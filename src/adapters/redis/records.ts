/**
 * Records and events as they come back. What does not look like one is left out and counted: one damaged key shall not stop
 * a list, or the start of a process.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { toDeliveryEvent, type OutboxEntry, type StoredDeliveryEvent } from '../../ports/delivery.ts'
import type { Logger } from '../../ports/logger.ts'
import type { StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import { fromKeyPart } from './keys.ts'

/** How many tasks are remembered as told about. */
const MAX_TOLD = 1_000

const LIVE = new Set(['queued', 'running', 'waiting', 'retrying', 'finishing', 'stopping'])

export interface RecordReader {
  /** `undefined`: it is damaged. */
  toRecord(taskPart: string, json: string): StoredRecord | undefined
  toEvent(taskPart: string, seq: number, json: string): StoredEvent | undefined
  /** A line of the log of a delivery. */
  toDeliveryEvent(taskPart: string, seq: number, json: string): StoredDeliveryEvent | undefined
  damaged(taskPart: string): undefined
  damagedCount(): number
}

export function createRecordReader(logger: Logger | undefined): RecordReader {
  const told = new Set<string>()
  let count = 0

  const damaged = (taskPart: string): undefined => {
    if (told.has(taskPart) || told.size === MAX_TOLD) return
    told.add(taskPart)
    count += 1
    logger?.warn({ taskId: fromKeyPart(taskPart) }, 'what Redis keeps of this task is damaged; it is left out')
  }

  const parse = (json: string): Readonly<Record<string, unknown>> | undefined => {
    try {
      const value: unknown = JSON.parse(json)
      return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined
    } catch {
      // Whoever asked counts it.
      return undefined
    }
  }

  return {
    damaged,
    damagedCount: () => count,
    toRecord(taskPart, json) {
      const record = parse(json)
      const isSound =
        record !== undefined &&
        record['taskId'] === fromKeyPart(taskPart) &&
        typeof record['owner'] === 'string' &&
        typeof record['version'] === 'number' &&
        typeof record['status'] === 'string' &&
        (LIVE.has(record['status']) || isFinalStatus(record['status'] as StoredRecord['status']))
      return isSound ? (record as unknown as StoredRecord) : damaged(taskPart)
    },
    toEvent(taskPart, seq, json) {
      const event = parse(json)
      if (typeof event?.['type'] !== 'string') return damaged(taskPart)
      const { type, at, epoch, data } = event as unknown as Omit<StoredEvent, 'seq'>
      return { seq, type, at, epoch, data } as StoredEvent
    },
    toDeliveryEvent(taskPart, seq, json) {
      const entry = parse(json) as Partial<OutboxEntry> | undefined
      const line = entry?.log?.[seq - 1]
      return typeof line?.type === 'string' ? toDeliveryEvent(entry as OutboxEntry, line) : damaged(taskPart)
    },
  }
}
