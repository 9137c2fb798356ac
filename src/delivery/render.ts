/** The messages of a notice, made from what is kept of its task. */
import type { Logger } from '../ports/logger.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { DeliveryParts } from './delivery-actor.ts'
import { endNotice } from './notices.ts'

export function createRender(_settings: unknown, _store: TaskStore, _logger: Logger): DeliveryParts['render'] {
  return (_entry, records) => records.map(endNotice)
}
