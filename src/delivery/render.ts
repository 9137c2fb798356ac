/** The messages of a delivery, made from what is kept of its task. */
import type { OutboxEntry } from '../ports/delivery.ts'
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

  const toQuestion = (stored: StoredRecord, key: string | undefined): Notice | undefined => {
    const question = stored.questions?.find((open) => open.key === key)
    return question === undefined ? undefined : { kind: 'question', record: view(stored), question }
  }

  const toNotice = (entry: OutboxEntry, record: StoredRecord, others: readonly StoredRecord[]): Notice | undefined => {
    switch (entry.kind) {
      case 'start':
        return { kind: 'start', record: view(record) }
      case 'question':
        return toQuestion(record, entry.question)
      case 'end':
        return others.length === 0 ? toEnd(record) : { kind: 'digest', ends: [record, ...others].map(toEnd) }
    }
  }

  return (entry, record, others, channel) => {
    const notice = toNotice(entry, record, others)
    if (notice === undefined) return undefined
    const { taskId, target } = entry
    const { texts, templateError } = toMessages(notice, notices, channel.limits)
    if (templateError !== undefined) {
      logger.error({ taskId, target, error: templateError }, 'a template of notices failed; the built-in text is sent')
    }
    return texts
  }
}
