/**
 * Where tasks of record are kept.
 *
 * 1. `commit` is atomic: everything in it is kept, or nothing is.
 * 2. A commit with the `id` of its task's last one changes nothing and gets that one's answer again.
 * 3. `version` of a record rises by one with each commit; a commit that expects another version or a newer epoch is
 *    `stale` and changes nothing.
 * 4. The events of one owner get consecutive positions in the order of their commits, and so do the events of all.
 * 5. Of a commit whose claims are not all free, nothing is kept.
 * 6. A commit whose record has ended frees the claims of its task, except those of kind `dedupe`.
 * 7. A method may answer at once or with a promise.
 * 8. The new lines of the logs of deliveries are events of the feeds, too: those of a commit come after its events, in the
 *    order of its outbox.
 * 9. A task that still owes a delivery is not dropped.
 */
import type { RetentionPolicy } from '../../machines/policies/retention.ts'
import type { TaskStatus } from '../../machines/vocabulary.ts'
import type { Awaitable } from './awaitable.ts'
import type { ClusterStore } from './cluster-store.ts'
import type { OutboxEntry, StoredDeliveryEvent } from './delivery.ts'
import type { StoredEvent } from './task-event.ts'
import type { Durability, StoredRecord } from './task-record.ts'

/**
 * Something that at most one task of an owner holds. A claim of kind `name` or `concurrency` is free again with the end of
 * its task; one of kind `dedupe` stays until its task is dropped.
 */
export interface Claim {
  readonly owner: string
  readonly kind: 'name' | 'concurrency' | 'dedupe'
  /** Folded: two keys that must not coexist are equal. */
  readonly key: string
}

/**
 * A large value that is kept beside the record of its task, as long as that, and is read only when it is asked for:
 * what the task was called with, or what it returned when that is larger than a record may be.
 */
export interface Attachment {
  readonly kind: AttachmentKind
  readonly json: string
}

export type AttachmentKind = 'input' | 'result'

export interface Commit {
  readonly id: string
  /** Version 0 means that the record must not exist yet. */
  readonly expect: { readonly version: number; readonly epoch: number }
  readonly record: StoredRecord
  readonly events: readonly StoredEvent[]
  /** Fresh events up to this sequence number are dropped. */
  readonly trimTo: number
  /** Deliveries that begin with this commit, each in its version 1. */
  readonly outbox: readonly OutboxEntry[]
  readonly claims: readonly Claim[]
  /** Each kind is attached once in the life of a task. */
  readonly attachments: readonly Attachment[]
}

export type CommitReply =
  | {
      readonly kind: 'committed'
      /** The place of the commit's first event in the owner's feed and in the feed over all. */
      readonly ownerPosition: number
      readonly position: number
    }
  | { readonly kind: 'stale' }
  /** Another task, of this id, holds a claim. */
  | { readonly kind: 'claimed'; readonly claim: Claim; readonly taskId: string }

/** What became of the change of a delivery. `stale`: it is kept in another version, or its task is gone. */
export type DeliveryReply =
  | {
      readonly kind: 'put'
      /** The place of the first new line of its log in the owner's feed and in the feed over all. */
      readonly ownerPosition: number
      readonly position: number
    }
  | { readonly kind: 'stale' }

/** Which deliveries, of those that are not settled well. */
export interface DeliveryQuery {
  readonly state: 'pending' | 'deadLettered'
  /** Absent: of every owner. */
  readonly owner?: string
  /** The id of the last one of the page before. */
  readonly after?: string
  readonly limit: number
}

/** One committed event at its places in the feeds. */
export interface FeedEntry<Event extends StoredEvent | StoredDeliveryEvent = StoredEvent | StoredDeliveryEvent> {
  readonly event: Event
  readonly record: StoredRecord
  readonly ownerPosition: number
  readonly position: number
}

/** Part of a feed, oldest first. Positions that are missing between entries were trimmed. */
export interface FeedPage {
  readonly entries: readonly FeedEntry[]
  /** Everything up to this position is in `entries` or gone. */
  readonly upTo: number
  /** Whether the feed ended here when it was read. */
  readonly isLast: boolean
}

export interface ListQuery {
  /** Absent: tasks of every owner. */
  readonly owner?: string
  readonly status?: readonly TaskStatus[]
  readonly parentId?: string
  readonly rootId?: string
  readonly tool?: string
  readonly name?: string
  readonly conversation?: string
  readonly runId?: string
  /** The node that runs the task, or ran it at its end. */
  readonly node?: string
  /** The place of the last record of the page before. */
  readonly after?: number
  readonly limit: number
}

export interface ListPage {
  readonly records: readonly StoredRecord[]
  /** The place to go on from; absent when this was the last page. */
  readonly next?: number
}

export interface TaskStore {
  readonly durability: Durability
  /** Made anew each time the log starts from nothing. Cursors of another incarnation are void. */
  readonly incarnation: string
  /** Absent where one process at a time has the store. */
  readonly cluster?: ClusterStore
  /**
   * Makes the store ready and gives what its host should know about it, a sentence each. Called once, before everything
   * else. Absent where nothing has to be done.
   */
  open?(): Awaitable<readonly string[]>
  commit(commit: Commit): Awaitable<CommitReply>
  read(taskId: string): Awaitable<StoredRecord | undefined>
  /** In the order of creation. */
  list(query: ListQuery): Awaitable<ListPage>
  count(owner: string | undefined): Awaitable<Partial<Record<TaskStatus, number>>>
  readEvents(read: {
    readonly taskId: string
    readonly afterSeq: number
    readonly limit: number
  }): Awaitable<readonly FeedEntry<StoredEvent>[]>
  /** Absent owner: the feed over all. */
  readFeed(read: { readonly owner?: string; readonly after: number; readonly limit: number }): Awaitable<FeedPage>
  /** The last position that was given out in a feed, 0 when none was. */
  lastPosition(owner: string | undefined): Awaitable<number>
  /** The id of the task that holds a claim. */
  claimedBy(claim: Claim): Awaitable<string | undefined>
  readAttachment(taskId: string, kind: AttachmentKind): Awaitable<string | undefined>
  /** All deliveries of a task, in the order in which they began. */
  readOutbox(taskId: string): Awaitable<readonly OutboxEntry[]>
  /** By their ids. */
  listDeliveries(query: DeliveryQuery): Awaitable<readonly OutboxEntry[]>
  /**
   * Keeps a delivery in its next version, or in its first one, and puts the new lines of its log into the feeds. It is `stale`
   * unless the kept version is the one before. What is kept already in this version, from the same node, gets its first
   * answer again.
   */
  putDelivery(entry: OutboxEntry): Awaitable<DeliveryReply>
  /**
   * Drops finished tasks beyond the limits, oldest first, with all that is kept of them, at most `maxEvicted` of them. Says how many
   * went and when to come back. Tasks that owe a delivery do not count, until they owe nothing any more.
   */
  prune(limits: RetentionPolicy & { readonly now: number; readonly maxEvicted: number }): Awaitable<PruneReply>
  close(): Awaitable<void>
}

export interface PruneReply {
  readonly evicted: number
  /**
   * The moment at which the oldest of the tasks that may be dropped becomes too old; absent when there is none. It is in the
   * past when there was more to do than was done in one go.
   */
  readonly nextAt?: number
}
