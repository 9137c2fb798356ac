/** The messages of a delivery, made from what is kept of its task. */
import type { Logger } from '../ports/logger.ts'
import type { StoredRecord, TaskRecord } from '../ports/task-record.ts'
import type { DeliveryParts } from './delivery-actor.ts'
import type { NoticeSettings } from './notice-settings.ts'
import { toMessages, type EndNotice, type Notice } from './notices.ts'

export function createRender(parts: {
  readonly notices: NoticeSettings
  /** A record as its owner sees it. */
  readonly view: (stored: StoredRecord) => TaskRecord
  readonly logger: Logger
}): DeliveryParts['render'] {
  const { notices, view, logger } = parts

  const toEnd = (stored: StoredRecord): EndNotice => ({
    kind: 'end',
    record: view(stored),
    ...(stored.resultJson === undefined ? {} : { value: JSON.parse(stored.resultJson) as unknown }),
    ...(stored.isSpilled === true ? { isSpilled: true } : {}),
  })

  const toNotice = (isStart: boolean, first: StoredRecord, others: readonly StoredRecord[]): Notice => {
    if (isStart) return { kind: 'start', record: view(first) }
    return others.length === 0 ? toEnd(first) : { kind: 'digest', ends: [first, ...others].map(toEnd) }
  }

  return ({ kind, taskId, target }, first, others, channel) => {
    const { texts, templateError } = toMessages(toNotice(kind === 'start', first, others), notices, channel.limits)
    if (templateError !== undefined) {
      logger.error({ taskId, target, error: templateError }, 'a template of notices failed; the built-in text is sent')
    }
    return texts
  }
}
