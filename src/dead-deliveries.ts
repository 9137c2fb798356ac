/** Results that could not be delivered: of one owner, or of all for the host. */
import { TaskError } from './errors.ts'
import { checkBoolean, checkOptionNames, checkText, checkWhole } from './options.ts'
import type { Deliveries } from './delivery/deliveries.ts'
import type { OutboxEntry } from './ports/delivery.ts'
import type { DeadDeliveries, DeliveryRecord } from './ports/session.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { TaskPlaces } from './task-places.ts'

const DEFAULT_PAGE = 100
const MAX_PAGE = 1_000
const MAX_ID_CHARS = 256

/** A delivery as its owner sees it. */
export function toDeliveryRecord(entry: OutboxEntry): DeliveryRecord {
  const { owner: _owner, version: _version, node: _node, ...record } = entry
  return Object.freeze(record)
}

export function createDeadDeliveries(parts: {
  readonly store: Pick<TaskStore, 'listDeliveries' | 'readOutbox'>
  readonly deliveries: Pick<Deliveries, 'replay' | 'clear'>
  readonly places: TaskPlaces
  /** Absent: of all owners. */
  readonly owner: string | undefined
  readonly actor: () => string
}): DeadDeliveries {
  const { store, deliveries, places, owner } = parts

  const find = async (ref: unknown): Promise<OutboxEntry | undefined> => {
    const { taskId, deliveryId } = (ref ?? {}) as Readonly<Record<string, unknown>>
    if (typeof taskId !== 'string' || typeof deliveryId !== 'string') return undefined
    if ((await places.get(taskId)) === undefined) return undefined
    const found = (await store.readOutbox(taskId)).find((entry) => entry.deliveryId === deliveryId)
    return found?.state === 'deadLettered' ? found : undefined
  }

  const change = async (ref: unknown, how: (entry: OutboxEntry) => Promise<boolean>): Promise<void> => {
    const entry = await find(ref)
    if (entry !== undefined && (await how(entry))) return
    throw new TaskError('delivery_not_found', 'There is no such dead letter.')
  }

  return {
    async list(options) {
      const { after, limit } = checkOptionNames('options', options, ['after', 'limit'])
      const count = limit === undefined ? DEFAULT_PAGE : checkWhole('limit', limit, { min: 1, max: MAX_PAGE })
      const entries = await store.listDeliveries({
        state: 'deadLettered',
        limit: count + 1,
        ...(owner === undefined ? {} : { owner }),
        ...(after === undefined ? {} : { after: checkText('after', after, MAX_ID_CHARS) }),
      })
      const page = entries.slice(0, count).map(toDeliveryRecord)
      const last = page.at(-1)
      return entries.length > count && last !== undefined
        ? { deliveries: page, next: last.deliveryId }
        : { deliveries: page }
    },

    async replay(delivery, options) {
      const { asNew } = checkOptionNames('options', options, ['asNew'])
      const isNew = asNew === undefined ? false : checkBoolean('asNew', asNew)
      await change(delivery, (entry) => deliveries.replay(entry, { actor: parts.actor(), asNew: isNew }))
    },

    clear: (delivery) => change(delivery, (entry) => deliveries.clear(entry, parts.actor())),
  }
}
