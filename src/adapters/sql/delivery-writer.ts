/**
 * Writes a group of changes of deliveries in one transaction, as `commit-writer.ts` writes commits: what a change is judged by
 * is read under the lock of all that write, and later changes of the group see the earlier ones.
 */
import { sql } from 'kysely'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { DeliveryReply } from '../../ports/task-store.ts'
import {
  evictableAt,
  placeDelivery,
  recountFinished,
  type DeliveryWrites,
  type LedgerState,
  type OwnerState,
  type TaskState,
} from './commit-decision.ts'
import { EVENTS, OUTBOX, toLineRows, toOutboxRows } from './group-rows.ts'
import { fromKept, toKept } from './kept-text.ts'
import { countersOf, queryOwners, toOwners } from './ledger.ts'
import type { Database, RowsQuery, SqlDialect } from './sql-dialect.ts'
import type { OutboxRow } from './tables.ts'
import { queryTasks, toTasks } from './task-states.ts'
import { withLedger } from './transaction.ts'

export interface WrittenDeliveries {
  readonly replies: readonly DeliveryReply[]
  /** Whose feeds are longer now. */
  readonly owners: readonly string[]
}

/** What is kept of a delivery beside its entry. */
interface DeliveryState {
  readonly version: number
  readonly node: string | undefined
  readonly isPending: boolean
  readonly lines: number
  readonly began: number
  readonly ownerPosition: number
  readonly position: number
}

interface State {
  readonly ledger: LedgerState
  readonly owners: Map<string, OwnerState>
  readonly tasks: Map<string, TaskState>
  readonly deliveries: Map<string, DeliveryState>
}

interface Writes extends DeliveryWrites {
  /** Tasks that owe more, or less, than before. */
  readonly debtors: Set<string>
}

export async function writeDeliveries(
  db: Database,
  dialect: SqlDialect,
  entries: readonly OutboxEntry[],
): Promise<WrittenDeliveries> {
  return withLedger(db, dialect, async (trx, ledger) => {
    const tasks = toTasks(await queryTasks(trx, dialect, new Set(entries.map(({ taskId }) => taskId))).execute())
    const [owners, deliveries] = await dialect.readAll(trx, [
      queryOwners(trx, dialect, new Set([...tasks.values()].map(({ owner }) => owner))),
      queryDeliveries(trx, dialect, [...tasks.keys()]),
    ])
    const state: State = { ledger, tasks, owners: toOwners(owners), deliveries: toDeliveries(deliveries) }
    const writes: Writes = { lines: [], outbox: [], debtors: new Set() }
    const replies = entries.map((entry) => decide(state, writes, entry))
    if (writes.outbox.length > 0) await writeAll(trx, dialect, state, writes)
    return { replies, owners: ownersOf(writes) }
  })
}

function decide(state: State, writes: Writes, entry: OutboxEntry): DeliveryReply {
  const { ledger, owners, tasks, deliveries } = state
  const key = keyOf(entry.taskId, entry.deliveryId)
  const known = deliveries.get(key)
  if (known?.version === entry.version && known.node === entry.node) return putAt(known)
  const task = tasks.get(entry.taskId)
  const owner = task && owners.get(task.owner)
  const isNext = (known?.version ?? 0) === entry.version - 1
  if (task === undefined || owner === undefined || !isNext) return { kind: 'stale' }

  const placed = placeDelivery({ ledger, owner, lines: writes.lines }, entry, task.owner, known)
  writes.outbox.push(placed)
  const isPending = entry.state === 'pending'
  const { version, node, log } = entry
  const { began, ownerPosition, position } = placed
  deliveries.set(key, { version, node, isPending, lines: log.length, began, ownerPosition, position })
  const wasPending = known?.isPending === true
  if (isPending !== wasPending) {
    const next: TaskState = { ...task, owed: task.owed + (isPending ? 1 : -1) }
    recountFinished(ledger, task, next)
    tasks.set(entry.taskId, next)
    writes.debtors.add(entry.taskId)
  }
  return putAt(placed)
}

function putAt({
  ownerPosition,
  position,
}: {
  readonly ownerPosition: number
  readonly position: number
}): DeliveryReply {
  return { kind: 'put', ownerPosition, position }
}

/** Kept texts hold no control characters, so the key is unambiguous. */
function keyOf(taskId: string, deliveryId: string): string {
  return `${toKept(taskId)}\n${toKept(deliveryId)}`
}

type DeliveryRow = Pick<OutboxRow, (typeof DELIVERY_COLUMNS)[number]>

const DELIVERY_COLUMNS = [
  'task_id',
  'delivery_id',
  'version',
  'node',
  'open_state',
  'lines',
  'began',
  'owner_position',
  'position',
] as const

function queryDeliveries(db: Database, dialect: SqlDialect, taskIds: readonly string[]): RowsQuery<DeliveryRow> {
  return db
    .selectFrom('outbox')
    .select(DELIVERY_COLUMNS)
    .where('task_id', 'in', sql<string>`${dialect.setOf(taskIds.map(toKept))}`)
}

function toDeliveries(rows: readonly DeliveryRow[]): Map<string, DeliveryState> {
  const toState = (row: DeliveryRow): DeliveryState => ({
    version: row.version,
    node: row.node === null ? undefined : fromKept(row.node),
    isPending: row.open_state === 'pending',
    lines: row.lines,
    began: row.began,
    ownerPosition: row.owner_position,
    position: row.position,
  })
  return new Map(rows.map((row) => [`${row.task_id}\n${row.delivery_id}`, toState(row)]))
}

function ownersOf({ lines }: Writes): readonly string[] {
  return [...new Set(lines.map(({ owner }) => owner))]
}

async function writeAll(db: Database, dialect: SqlDialect, state: State, writes: Writes): Promise<void> {
  // The last version of each: one statement does not write a row twice.
  const outbox = new Map(writes.outbox.map((placed) => [keyOf(placed.entry.taskId, placed.entry.deliveryId), placed]))
  const inserts = [
    { into: OUTBOX, rows: toOutboxRows({ ...writes, outbox: [...outbox.values()] }) },
    { into: EVENTS, rows: toLineRows(writes) },
    ...countersOf(state.ledger, state.owners),
  ]
  const hints = ownersOf(writes).map((owner) => ({ owner }))
  await dialect.insertAll(db, inserts, hints)
  await writeDebts(db, dialect, state, [...writes.debtors])
}

async function writeDebts(
  db: Database,
  dialect: SqlDialect,
  { tasks }: State,
  taskIds: readonly string[],
): Promise<void> {
  if (taskIds.length === 0) return
  const rows = taskIds.flatMap((taskId) => {
    const task = tasks.get(taskId)
    if (task === undefined) return []
    return [{ task_id: toKept(taskId), owed: task.owed, evictable_at: evictableAt(task) ?? null }]
  })
  const source = dialect.rowsOf({ task_id: 'text', owed: 'whole', evictable_at: 'whole' }, rows)
  await sql`update ${dialect.nameOf('tasks')} as t set owed = r.owed, evictable_at = r.evictable_at
    from ${source} where t.task_id = r.task_id`.execute(db)
}
