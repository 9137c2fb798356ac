/** The deliveries of all tasks that are pending or dead letters. */
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { DeliveryQuery } from '../../ports/task-store.ts'

export interface OpenDeliveries {
  /** Takes in what is kept of a delivery now. */
  note(entry: OutboxEntry): void
  drop(deliveryId: string): void
  list(query: DeliveryQuery): readonly OutboxEntry[]
}

export function createOpenDeliveries(): OpenDeliveries {
  const byId = new Map<string, OutboxEntry>()

  return {
    note(entry) {
      if (entry.state === 'pending' || entry.state === 'deadLettered') byId.set(entry.deliveryId, entry)
      else byId.delete(entry.deliveryId)
    },
    drop: (deliveryId) => void byId.delete(deliveryId),
    list: ({ state, owner, after = '', limit }) =>
      [...byId.values()]
        .filter((entry) => entry.state === state && (owner === undefined || entry.owner === owner))
        .filter(({ deliveryId }) => deliveryId > after)
        .toSorted((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1))
        .slice(0, limit),
  }
}
