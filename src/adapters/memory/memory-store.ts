/**
 * The store of one process: everything in maps, every answer at once.
 *
 * It keeps nothing past the end of the process and says so. What it keeps is bounded by the live tasks and by the
 * retention limits that `prune` is called with.
 */
import { mustEvictOldest } from '../../../machines/policies/retention.ts'
import { isFinalStatus, type TaskStatus } from '../../../machines/vocabulary.ts'
import { isFreshEventType, type StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type {
  Attachment,
  Claim,
  Commit,
  CommitReply,
  FeedEntry,
  FeedPage,
  ListQuery,
  OutboxEntry,
  TaskStore,
} from '../../ports/task-store.ts'
import { createMemoryCluster } from './memory-cluster.ts'
import { createOrderedLog, type OrderedLog } from './ordered-log.ts'

/** Rows are linked, and their events too: a host may hold a hundred thousand, and a link costs less than an array. */
interface Row {
  record: StoredRecord
  firstEvent: KeptEvent | undefined
  lastEvent: KeptEvent | undefined
  outbox: readonly OutboxEntry[]
  readonly place: number
  readonly ownerPlace: number
  /** Where the first event of the last commit was put. */
  ownerPosition: number
  position: number
  /** The finished task that ended next after this one. */
  nextFinished: Row | undefined
  /** What the row holds. */
  claims: readonly Claim[]
}

/** An event at its places, in one object. The record is read through the row, so that old versions of it are not kept. */
interface KeptEvent extends StoredEvent {
  readonly row: Row
  readonly ownerPosition: number
  readonly position: number
  /** The next kept event of the task. */
  next: KeptEvent | undefined
}

interface Owner {
  readonly rows: OrderedLog<Row>
  readonly feed: OrderedLog<KeptEvent>
  readonly counts: Partial<Record<TaskStatus, number>>
}

const NONE: readonly never[] = Object.freeze([])

/**
 * Keeps tasks in memory. With `shared`, several supervisors of one process may have the store, as processes share a
 * database: for tests of what happens between nodes.
 */
export function memoryStore(options: { readonly shared?: boolean } = {}): TaskStore {
  const cluster = options.shared === true ? createMemoryCluster((node) => hasLiveTasks(node)) : undefined
  const attachments = new Map<string, readonly Attachment[]>()
  /** By their ids. */
  const pending = new Map<string, OutboxEntry>()
  const rows = new Map<string, Row>()
  const owners = new Map<string, Owner>()
  const all: Owner = createOwner()
  const claims = new Map<string, string>()
  /** Finished tasks are linked in the order of their ends. */
  let oldestFinished: Row | undefined
  let newestFinished: Row | undefined
  let finishedCount = 0
  let finishedBytes = 0

  const requireOwner = (owner: string): Owner => {
    const known = owners.get(owner)
    if (known !== undefined) return known
    const made = createOwner()
    owners.set(owner, made)
    return made
  }

  const count = (owner: Owner, status: TaskStatus, by: 1 | -1): void => {
    owner.counts[status] = (owner.counts[status] ?? 0) + by
    all.counts[status] = (all.counts[status] ?? 0) + by
  }

  const recount = (owner: Owner, before: TaskStatus, after: TaskStatus): void => {
    if (before === after) return
    count(owner, before, -1)
    count(owner, after, 1)
  }

  /** The answer to a change one of whose claims another task holds. */
  const refuseClaims = (change: Commit): CommitReply | undefined => {
    for (const claim of change.claims) {
      const taskId = claims.get(keyOf(claim))
      if (taskId !== undefined && taskId !== change.record.taskId) return { kind: 'claimed', claim, taskId }
    }
    return undefined
  }

  const appendEvents = (row: Row, owner: Owner, events: readonly StoredEvent[]): void => {
    for (const { seq, type, at, epoch, data } of events) {
      const kept: KeptEvent = {
        seq,
        type,
        at,
        epoch,
        data,
        row,
        ownerPosition: owner.feed.lastPlace() + 1,
        position: all.feed.lastPlace() + 1,
        next: undefined,
      }
      owner.feed.append(kept)
      all.feed.append(kept)
      if (row.lastEvent === undefined) row.firstEvent = kept
      else row.lastEvent.next = kept
      row.lastEvent = kept
    }
  }

  const drop = (owner: Owner, kept: KeptEvent): void => {
    owner.feed.drop(kept.ownerPosition)
    all.feed.drop(kept.position)
  }

  const trim = (row: Row, owner: Owner, trimTo: number): void => {
    let before: KeptEvent | undefined
    let kept = row.firstEvent
    for (; kept !== undefined && kept.seq <= trimTo; kept = kept.next) {
      if (!isFreshEventType(kept.type)) {
        before = kept
        continue
      }
      drop(owner, kept)
      if (before === undefined) row.firstEvent = kept.next
      else before.next = kept.next
    }
    if (kept === undefined) row.lastEvent = before
  }

  const noteFinished = (row: Row): void => {
    if (newestFinished === undefined) oldestFinished = row
    else newestFinished.nextFinished = row
    newestFinished = row
    finishedCount += 1
    finishedBytes += row.record.resultBytes ?? 0
  }

  const evictOldest = (): void => {
    const row = oldestFinished
    const owner = row && owners.get(row.record.owner)
    if (row === undefined || owner === undefined) return
    oldestFinished = row.nextFinished
    if (oldestFinished === undefined) newestFinished = undefined
    finishedCount -= 1
    finishedBytes -= row.record.resultBytes ?? 0
    for (let kept = row.firstEvent; kept !== undefined; kept = kept.next) drop(owner, kept)
    owner.rows.drop(row.ownerPlace)
    all.rows.drop(row.place)
    count(owner, row.record.status, -1)
    rows.delete(row.record.taskId)
    for (const claim of row.claims) claims.delete(keyOf(claim))
    attachments.delete(row.record.taskId)
    for (const { deliveryId } of row.outbox) pending.delete(deliveryId)
  }

  const hasLiveTasks = (node: string): boolean => {
    for (const { record } of rows.values()) if (record.node === node && !isFinalStatus(record.status)) return true
    return false
  }

  const isFenced = ({ record: { node } }: Commit, known: Row | undefined): boolean =>
    cluster !== undefined &&
    node !== undefined &&
    (known === undefined || !isFinalStatus(known.record.status)) &&
    !cluster.isAlive(node)

  const takeClaims = (row: Row, taken: readonly Claim[]): void => {
    if (taken.length === 0) return
    for (const claim of taken) claims.set(keyOf(claim), row.record.taskId)
    row.claims = [...row.claims, ...taken]
  }

  const freeClaims = (row: Row): void => {
    if (row.claims.length === 0) return
    for (const claim of row.claims) if (claim.kind !== 'dedupe') claims.delete(keyOf(claim))
    row.claims = row.claims.filter(({ kind }) => kind === 'dedupe')
  }

  const commit = (change: Commit): CommitReply => {
    const { record, expect } = change
    const known = rows.get(record.taskId)
    // Nothing that comes here has left the process: a commit that is repeated brings the very record it brought before.
    if (known?.record === record) return committedAt(known)
    if ((known?.record.version ?? 0) !== expect.version || (known?.record.epoch ?? expect.epoch) > expect.epoch) {
      return { kind: 'stale' }
    }
    if (isFenced(change, known)) return { kind: 'stale' }
    const refusal = refuseClaims(change)
    if (refusal !== undefined) return refusal

    const before = known?.record.status
    const owner = requireOwner(record.owner)
    const ownerPosition = owner.feed.lastPlace() + 1
    const position = all.feed.lastPlace() + 1
    let row = known
    if (row === undefined) {
      row = {
        record,
        firstEvent: undefined,
        lastEvent: undefined,
        outbox: NONE,
        place: all.rows.lastPlace() + 1,
        ownerPlace: owner.rows.lastPlace() + 1,
        ownerPosition,
        position,
        nextFinished: undefined,
        claims: NONE,
      }
      rows.set(record.taskId, row)
      all.rows.append(row)
      owner.rows.append(row)
      count(owner, record.status, 1)
    } else {
      recount(owner, row.record.status, record.status)
      row.record = record
      row.ownerPosition = ownerPosition
      row.position = position
    }
    takeClaims(row, change.claims)
    appendEvents(row, owner, change.events)
    trim(row, owner, change.trimTo)
    if (change.outbox.length > 0) row.outbox = [...row.outbox, ...change.outbox]
    for (const entry of change.outbox) if (entry.state === 'pending') pending.set(entry.deliveryId, entry)
    if (change.attachments.length > 0) {
      attachments.set(record.taskId, [...(attachments.get(record.taskId) ?? []), ...change.attachments])
    }
    if (isFinalStatus(record.status) && (before === undefined || !isFinalStatus(before))) {
      freeClaims(row)
      noteFinished(row)
    }
    if (change.events.length > 0) cluster?.hint({ owner: record.owner })
    return committedAt(row)
  }

  return {
    durability: 'memory',
    incarnation: crypto.randomUUID(),
    ...(cluster === undefined ? {} : { cluster }),
    commit,
    read: (taskId) => rows.get(taskId)?.record,
    list(query) {
      const scope = query.owner === undefined ? all : owners.get(query.owner)
      const records: StoredRecord[] = []
      let lastPlace = query.after ?? 0
      for (const { place, item } of scope?.rows.after(lastPlace) ?? []) {
        if (!matches(query, item.record)) continue
        if (records.length === query.limit) return { records, next: lastPlace }
        records.push(item.record)
        lastPlace = place
      }
      return { records }
    },
    count: (owner) => ({ ...(owner === undefined ? all : owners.get(owner))?.counts }),
    readEvents({ taskId, afterSeq, limit }) {
      const entries: FeedEntry[] = []
      const row = rows.get(taskId)
      for (const kept of row === undefined ? [] : eventsOf(row)) {
        if (entries.length === limit) break
        if (kept.seq > afterSeq) entries.push(toEntry(kept))
      }
      return entries
    },
    readFeed({ owner, after, limit }) {
      return readPage(owner === undefined ? all.feed : owners.get(owner)?.feed, after, limit)
    },
    lastPosition: (owner) => (owner === undefined ? all : owners.get(owner))?.feed.lastPlace() ?? 0,
    claimedBy: (claim) => claims.get(keyOf(claim)),
    readAttachment: (taskId, wanted) => attachments.get(taskId)?.find(({ kind }) => kind === wanted)?.json,
    readOutbox: (taskId) => rows.get(taskId)?.outbox ?? NONE,
    readPending: ({ after = '', limit }) =>
      [...pending.values()]
        .filter(({ deliveryId }) => deliveryId > after)
        .toSorted((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1))
        .slice(0, limit),
    settleDelivery(settled) {
      const row = rows.get(settled.taskId)
      if (row === undefined) return
      if (settled.state === 'pending') pending.set(settled.deliveryId, settled)
      else pending.delete(settled.deliveryId)
      row.outbox = row.outbox.map((entry) => (entry.deliveryId === settled.deliveryId ? settled : entry))
    },
    prune({ now, maxEvicted, ...policy }) {
      let evicted = 0
      for (let oldest = oldestFinished; oldest !== undefined; oldest = oldestFinished) {
        const oldestEndedAt = oldest.record.endedAt ?? 0
        const mustGo = mustEvictOldest(policy, { count: finishedCount, bytes: finishedBytes, oldestEndedAt, now })
        if (!mustGo) return { evicted, nextAt: oldestEndedAt + policy.finishedMs }
        if (evicted === maxEvicted) return { evicted, nextAt: now }
        evictOldest()
        evicted += 1
      }
      return { evicted }
    },
    close: () => undefined,
  }
}

function createOwner(): Owner {
  return { rows: createOrderedLog(), feed: createOrderedLog(), counts: {} }
}

/** What is kept of a task, oldest first. */
function* eventsOf(row: Row): Generator<KeptEvent> {
  for (let kept = row.firstEvent; kept !== undefined; kept = kept.next) yield kept
}

function committedAt({ ownerPosition, position }: Row): CommitReply {
  return { kind: 'committed', ownerPosition, position }
}

function toEntry({ row, ownerPosition, position, seq, type, at, epoch, data }: KeptEvent): FeedEntry {
  return { event: { seq, type, at, epoch, data }, record: row.record, ownerPosition, position }
}

function readPage(feed: OrderedLog<KeptEvent> | undefined, after: number, limit: number): FeedPage {
  const entries: FeedEntry[] = []
  let upTo = after
  for (const { place, item } of feed?.after(after) ?? []) {
    if (entries.length === limit) return { entries, upTo, isLast: false }
    entries.push(toEntry(item))
    upTo = place
  }
  return { entries, upTo: feed?.lastPlace() ?? 0, isLast: true }
}

function matches(query: ListQuery, record: StoredRecord): boolean {
  return (
    (query.status === undefined || query.status.includes(record.status)) &&
    (query.parentId === undefined || record.parentId === query.parentId) &&
    (query.rootId === undefined || record.rootId === query.rootId) &&
    (query.tool === undefined || record.tool === query.tool) &&
    (query.name === undefined || record.name === query.name) &&
    (query.conversation === undefined || record.conversation === query.conversation) &&
    (query.node === undefined || record.node === query.node) &&
    (query.runId === undefined || record.correlation?.runId === query.runId)
  )
}

/** Owners hold no control characters, so the key is unambiguous. */
function keyOf(claim: Claim): string {
  return `${claim.owner}\u0000${claim.kind}\u0000${claim.key}`
}
