/** Whether every result has reached where it should: what each final task owed, and what became of it. */
import { FINAL_STATUSES } from '../machines/vocabulary.ts'
import { toDeliveryRecord } from './dead-deliveries.ts'
import { fromListCursor, toListCursor } from './list-cursor.ts'
import { checkOptionNames, checkOwner, checkWhole } from './options.ts'
import type { OutboxEntry } from './ports/delivery.ts'
import type { DeliveryRecord } from './ports/session.ts'
import type { StoredRecord } from './ports/task-record.ts'
import type { TaskStore } from './ports/task-store.ts'

const DEFAULT_PAGE = 100
const MAX_PAGE = 1_000

/** A task that has ended, and its deliveries. */
export interface AuditedTask {
  readonly taskId: string
  readonly owner: string
  readonly status: StoredRecord['status']
  readonly endedAt: number
  /** Where its result has to go. */
  readonly targets: readonly string[]
  /** `delivered` has a receipt, `deadLettered` waits for a person, `pending` is owed, `withdrawn` was put away by one. */
  readonly deliveries: readonly DeliveryRecord[]
}

export interface AuditPage {
  readonly tasks: readonly AuditedTask[]
  /** How many deliveries of results there are on this page, by state. */
  readonly counts: Readonly<Record<OutboxEntry['state'], number>>
  /** Results for which there is no delivery at all: none, as long as the library keeps its word. */
  readonly missing: readonly { readonly taskId: string; readonly target: string }[]
  /** Deliveries to where nobody had asked for: none. */
  readonly stray: readonly { readonly taskId: string; readonly target: string }[]
  /** Pass it as `after` for the next page; absent on the last. */
  readonly next?: string
}

export async function auditDeliveries(
  store: Pick<TaskStore, 'list' | 'readOutbox'>,
  options: unknown,
): Promise<AuditPage> {
  const { owner: givenOwner, after, limit } = checkOptionNames('options', options, ['owner', 'after', 'limit'])
  const owner = givenOwner === undefined ? undefined : checkOwner(givenOwner)
  const page = await store.list({
    status: FINAL_STATUSES,
    limit: limit === undefined ? DEFAULT_PAGE : checkWhole('limit', limit, { min: 1, max: MAX_PAGE }),
    ...(owner === undefined ? {} : { owner }),
    ...(after === undefined ? {} : { after: fromListCursor(owner ?? '', after) }),
  })
  const outboxes = await Promise.all(page.records.map(async ({ taskId }) => store.readOutbox(taskId)))
  const counts = { pending: 0, delivered: 0, deadLettered: 0, withdrawn: 0 }
  const missing: { taskId: string; target: string }[] = []
  const stray: { taskId: string; target: string }[] = []
  const tasks = page.records.map((record, index): AuditedTask => {
    const { taskId, status, endedAt = record.createdAt } = record
    const ends = (outboxes[index] ?? []).filter(({ kind }) => kind === 'end')
    const { targets } = record
    for (const { state, target } of ends) {
      counts[state] += 1
      if (!targets.includes(target)) stray.push({ taskId, target })
    }
    // Who still awaited the call has its result.
    for (const target of record.caller === 'attached' ? [] : targets) {
      if (!ends.some((entry) => entry.target === target)) missing.push({ taskId, target })
    }
    return { taskId, owner: record.owner, status, endedAt, targets, deliveries: ends.map(toDeliveryRecord) }
  })
  const rest = page.next === undefined ? {} : { next: toListCursor(owner ?? '', page.next) }
  return { tasks, counts, missing, stray, ...rest }
}
