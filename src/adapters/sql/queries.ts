/** What is read of tasks. Nothing here takes a lock, and nothing needs a transaction. */
import { sql } from 'kysely'
import type { DeliveryKind, OutboxEntry, StoredDeliveryEvent } from '../../ports/delivery.ts'
import type { StoredEvent, TaskEventType } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type {
  AttachmentKind,
  Claim,
  DeliveryQuery,
  FeedEntry,
  FeedPage,
  ListPage,
  ListQuery,
} from '../../ports/task-store.ts'
import type { Counts } from './commit-decision.ts'
import { digestOf } from './commit-writer.ts'
import { fromKept, toKept } from './kept-text.ts'
import { readLedger, readOwners } from './ledger.ts'
import type { Database, SqlDialect } from './sql-dialect.ts'
import type { EventRow } from './tables.ts'

export interface Queries {
  read(taskId: string): Promise<StoredRecord | undefined>
  list(query: ListQuery): Promise<ListPage>
  count(owner: string | undefined): Promise<Counts>
  readEvents(read: {
    readonly taskId: string
    readonly afterSeq: number
    readonly limit: number
  }): Promise<readonly FeedEntry<StoredEvent>[]>
  readFeed(read: { readonly owner?: string; readonly after: number; readonly limit: number }): Promise<FeedPage>
  lastPosition(owner: string | undefined): Promise<number>
  claimedBy(claim: Claim): Promise<string | undefined>
  readAttachment(taskId: string, kind: AttachmentKind): Promise<string | undefined>
  readOutbox(taskId: string): Promise<readonly OutboxEntry[]>
  listDeliveries(query: DeliveryQuery): Promise<readonly OutboxEntry[]>
}

export function createQueries(db: Database, dialect: SqlDialect): Queries {
  const countersOf = async (owner: string | undefined): Promise<{ position: number; counts: Counts }> => {
    if (owner === undefined) return readLedger(db)
    return (await readOwners(db, dialect, [owner])).get(owner) ?? { position: 0, counts: {} }
  }

  /** With the records as they are now. An event whose task was dropped in between is dropped, too. */
  const toEntries = async <Event extends FeedEntry['event']>(
    rows: readonly EventRow[],
    toEvent: (row: EventRow) => Event,
  ): Promise<readonly FeedEntry<Event>[]> => {
    if (rows.length === 0) return []
    const taskIds = [...new Set(rows.map(({ task_id }) => task_id))]
    const found = await db
      .selectFrom('tasks')
      .select(['task_id', 'record'])
      .where('task_id', 'in', sql<string>`${dialect.setOf(taskIds)}`)
      .execute()
    const records = new Map(found.map(({ task_id, record }) => [task_id, JSON.parse(record) as StoredRecord]))
    return rows.flatMap((row) => {
      const record = records.get(row.task_id)
      if (record === undefined) return []
      return [{ event: toEvent(row), record, ownerPosition: row.owner_position, position: row.position }]
    })
  }

  return {
    async read(taskId) {
      const row = await db.selectFrom('tasks').select('record').where('task_id', '=', toKept(taskId)).executeTakeFirst()
      return row === undefined ? undefined : (JSON.parse(row.record) as StoredRecord)
    },

    async list({ status, after, limit, ...query }) {
      let found = db.selectFrom('tasks').select(['place', 'record'])
      for (const [field, column] of FILTERS) {
        const value = query[field]
        if (value !== undefined) found = found.where(column, '=', toKept(value))
      }
      if (status !== undefined) found = found.where('status', 'in', sql<string>`${dialect.setOf(status)}`)
      const rows = await found
        .where('place', '>', after ?? 0)
        .orderBy('place')
        .limit(limit + 1)
        .execute()
      const page = rows.slice(0, limit)
      const records = page.map(({ record }) => JSON.parse(record) as StoredRecord)
      const last = page.at(-1)
      return rows.length > limit && last !== undefined ? { records, next: last.place } : { records }
    },

    count: async (owner) => (await countersOf(owner)).counts,

    async readEvents({ taskId, afterSeq, limit }) {
      const rows = await db
        .selectFrom('events')
        .selectAll()
        .where('task_id', '=', toKept(taskId))
        .where('delivery_id', '=', '')
        .where('seq', '>', afterSeq)
        .orderBy('seq')
        .limit(limit)
        .execute()
      return toEntries(rows, toTaskEvent)
    },

    async readFeed({ owner, after, limit }) {
      // Read first: everything up to there is committed, so what is missing below it is gone.
      const { position: last } = await countersOf(owner)
      const column = owner === undefined ? 'position' : 'owner_position'
      let found = db.selectFrom('events').selectAll().where(column, '>', after).where(column, '<=', last)
      if (owner !== undefined) found = found.where('owner', '=', toKept(owner))
      const rows = await found
        .orderBy(column)
        .limit(limit + 1)
        .execute()
      const page = rows.slice(0, limit)
      const isLast = rows.length <= limit
      const upTo = isLast ? last : (page.at(-1)?.[column] ?? after)
      return { entries: await toEntries(page, toFeedEvent), upTo, isLast }
    },

    lastPosition: async (owner) => (await countersOf(owner)).position,

    async claimedBy(claim) {
      const row = await db
        .selectFrom('claims')
        .select('task_id')
        .where('digest', '=', digestOf(claim))
        .executeTakeFirst()
      return row === undefined ? undefined : fromKept(row.task_id)
    },

    async readAttachment(taskId, kind) {
      const row = await db
        .selectFrom('attachments')
        .select('json')
        .where('task_id', '=', toKept(taskId))
        .where('kind', '=', kind)
        .executeTakeFirst()
      return row?.json
    },

    async readOutbox(taskId) {
      const rows = await db
        .selectFrom('outbox')
        .select('json')
        .where('task_id', '=', toKept(taskId))
        .orderBy('began')
        .orderBy('delivery_id')
        .execute()
      return rows.map(({ json }) => JSON.parse(json) as OutboxEntry)
    },

    async listDeliveries({ state, owner, after, limit }) {
      let found = db.selectFrom('outbox').select('json').where('open_state', '=', state)
      if (owner !== undefined) found = found.where('owner', '=', toKept(owner))
      if (after !== undefined) found = found.where('delivery_id', '>', toKept(after))
      const rows = await found.orderBy('delivery_id').limit(limit).execute()
      return rows.map(({ json }) => JSON.parse(json) as OutboxEntry)
    },
  }
}

const FILTERS = [
  ['owner', 'owner'],
  ['parentId', 'parent_id'],
  ['rootId', 'root_id'],
  ['tool', 'tool'],
  ['name', 'name'],
  ['conversation', 'conversation'],
  ['runId', 'run_id'],
  ['node', 'node'],
] as const

function toTaskEvent({ seq, type, at, epoch, json }: EventRow): StoredEvent {
  return { seq, type: type as TaskEventType, at, epoch, data: JSON.parse(json) as StoredEvent['data'] }
}

function toFeedEvent(row: EventRow): StoredEvent | StoredDeliveryEvent {
  if (row.delivery_id === '') return toTaskEvent(row)
  const kept = JSON.parse(row.json) as { readonly target: string; readonly kind: DeliveryKind; readonly data: object }
  const { seq, type, at, delivery_id } = row
  return { seq, type, at, deliveryId: fromKept(delivery_id), ...kept } as StoredDeliveryEvent
}
