/** The tables, as queries see them. Texts that a host gave are kept as `kept-text.ts` says; `record`, `json` and `counts` are JSON. */
import type { Generated } from 'kysely'

export interface Tables {
  /** What the database is: `schema_version`, `incarnation`. */
  readonly meta: { readonly key: string; readonly value: string }
  readonly ledger: LedgerRow
  readonly owners: OwnerRow
  readonly tasks: TaskRow
  readonly events: EventRow
  readonly claims: ClaimRow
  readonly outbox: OutboxRow
  readonly attachments: AttachmentRow
  readonly nodes: NodeRow
  readonly orders: OrderRow
}

/** One row, and the lock of all that write: whoever has locked it is the only one that changes tasks, claims or deaths of nodes. */
export interface LedgerRow {
  readonly id: number
  /** The last position that was given in the feed over all. */
  readonly position: number
  /** The last place that was given to a task. */
  readonly place: number
  /** Of the tasks that may be dropped. */
  readonly finished_count: number
  readonly finished_bytes: number
  /** How many tasks have each status. */
  readonly counts: string
}

/** Stays when the last task of the owner is dropped: positions are never given twice. */
export interface OwnerRow {
  readonly owner: string
  readonly position: number
  readonly counts: string
}

export interface TaskRow {
  /** In the order of creation. */
  readonly place: number
  readonly task_id: string
  readonly owner: string
  readonly status: string
  readonly parent_id: string | null
  readonly root_id: string
  readonly tool: string
  readonly name: string | null
  readonly conversation: string | null
  readonly run_id: string | null
  readonly node: string | null
  readonly version: number
  readonly epoch: number
  /** The last commit, and where its first event was put. */
  readonly commit_id: string
  readonly owner_position: number
  readonly position: number
  /** Fresh events up to this number were dropped. */
  readonly trimmed_to: number
  /** 1: the task has claimed something. */
  readonly has_claims: number
  /** How many deliveries are pending. */
  readonly owed: number
  /** Null while the task lives. */
  readonly ended_at: number | null
  /** When it ended; null while it may not be dropped, because it lives or owes a delivery. */
  readonly evictable_at: number | null
  readonly result_bytes: number
  readonly record: string
}

export interface EventRow {
  readonly position: number
  readonly owner: string
  readonly owner_position: number
  readonly task_id: string
  /** Whose line it is; empty for the events of the task itself. */
  readonly delivery_id: string
  /** Of the task, or in the log of the delivery. */
  readonly seq: number
  readonly epoch: number
  readonly type: string
  readonly at: number
  /** 1: may be trimmed. */
  readonly is_fresh: number
  readonly json: string
}

export interface ClaimRow {
  /** Of owner, kind and key: short, whatever these are. */
  readonly digest: string
  readonly kind: string
  readonly task_id: string
}

export interface OutboxRow {
  readonly task_id: string
  readonly delivery_id: string
  readonly owner: string
  readonly version: number
  readonly node: string | null
  /** The state of a delivery that is pending or a dead letter. */
  readonly open_state: string | null
  /** How many lines its log has. */
  readonly lines: number
  /** Where its log begins in the feed over all: deliveries of a task are in the order of these. */
  readonly began: number
  /** Where the first new line of this version was put. */
  readonly owner_position: number
  readonly position: number
  readonly json: string
}

export interface AttachmentRow {
  readonly task_id: string
  readonly kind: string
  readonly json: string
}

export interface NodeRow {
  readonly node: string
  readonly expires_at: number
  readonly is_dead: number
}

export interface OrderRow {
  readonly place: Generated<number>
  readonly id: string
  readonly node: string
  readonly sender: string
  readonly owner: string
  readonly task_id: string
  readonly json: string
  readonly sent_at: number
  readonly reply: string | null
}
