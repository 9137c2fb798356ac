/**
 * The store of one process: everything in maps, every answer at once.
 *
 * It keeps nothing past the end of the process and says so. What it keeps is bounded by the live tasks and by the
 * retention limits that `prune` is called with.
 */
import { mustEvictOldest } from '../../../machines/policies/retention.ts'
import { isFinalStatus, type TaskStatus } from '../../../machines/vocabulary.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import { isFreshEventType, type StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { Attachment, Commit, CommitReply, DeliveryReply, FeedEntry, TaskStore } from '../../ports/task-store.ts'
import { createEndedTasks } from './ended-tasks.ts'
import { createKeptClaims } from './kept-claims.ts'
import {
  createOwner,
  eventsOf,
  factsOf,
  isPacked,
  matches,
  placesOf,
  readPage,
  toEventEntry,
  type KeptDelivery,
  type KeptEvent,
  type KeptLine,
  type Owner,
  type KeptTask,
  type Places,
  type Row,
} from './kept-rows.ts'
import { createMemoryCluster } from './memory-cluster.ts'
import { createOpenDeliveries } from './open-deliveries.ts'
import { createPacking } from './packing.ts'

const NONE: readonly never[] = Object.freeze([])

/**
 * Keeps tasks in memory. With `shared`, several supervisors of one process may have the store, as processes share a
 * database: for tests of what happens between nodes.
 */
export function memoryStore(options: { readonly shared?: boolean } = {}): TaskStore {
  const cluster = options.shared === true ? createMemoryCluster((node) => hasLiveTasks(node)) : undefined
  const attachments = new Map<string, readonly Attachment[]>()
  const openDeliveries = createOpenDeliveries()
  const ended = createEndedTasks()
  const rows = new Map<string, KeptTask>()
  const owners = new Map<string, Owner>()
  const all: Owner = createOwner()
  const claims = createKeptClaims()

  const requireOwner = (owner: string): Owner => {
    const known = owners.get(owner)
    if (known !== undefined) return known
    const made = createOwner()
    owners.set(owner, made)
    return made
  }

  const packing = createPacking({ rows, all, requireOwner, ended })

  const count = (owner: Owner, status: TaskStatus, by: 1 | -1): void => {
    owner.counts[status] = (owner.counts[status] ?? 0) + by
    all.counts[status] = (all.counts[status] ?? 0) + by
  }

  const recount = (owner: Owner, before: TaskStatus, after: TaskStatus): void => {
    if (before === after) return
    count(owner, before, -1)
    count(owner, after, 1)
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

  const drop = (owner: Owner, { ownerPosition, position }: Places): void => {
    owner.feed.drop(ownerPosition)
    all.feed.drop(position)
  }

  /** Keeps a delivery in this version, with the new lines of its log in the feeds. */
  const keepDelivery = (
    row: Row,
    owner: Owner,
    { entry, known }: { readonly entry: OutboxEntry; readonly known?: KeptDelivery | undefined },
  ): KeptDelivery => {
    const ownerPosition = owner.feed.lastPlace() + 1
    const position = all.feed.lastPlace() + 1
    const delivery: KeptDelivery = known ?? { entry, ownerPosition, position, lines: [] }
    if (known === undefined) row.deliveries = [...row.deliveries, delivery]
    Object.assign(delivery, { entry, ownerPosition, position })
    for (const line of entry.log.slice(delivery.lines.length)) {
      const places = { ownerPosition: owner.feed.lastPlace() + 1, position: all.feed.lastPlace() + 1 }
      const kept: KeptLine = { row, delivery, line, ...places }
      owner.feed.append(kept)
      all.feed.append(kept)
      delivery.lines.push(kept)
    }
    openDeliveries.note(entry)
    return delivery
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

  const evict = (task: KeptTask): void => {
    const { taskId, owner: name, status } = factsOf(task)
    const owner = requireOwner(name)
    ended.leave(task)
    for (const places of placesOf(task)) drop(owner, places)
    // A row that has lived for long lies among the old things, and a young collection keeps whatever those point to.
    if (!isPacked(task)) task.firstEvent = task.lastEvent = undefined
    for (const { entry, lines } of task.deliveries) {
      for (const kept of lines) drop(owner, kept)
      openDeliveries.drop(entry.deliveryId)
    }
    owner.rows.drop(task.ownerPlace)
    all.rows.drop(task.place)
    count(owner, status, -1)
    rows.delete(taskId)
    claims.drop(task)
    attachments.delete(taskId)
  }

  const hasLiveTasks = (node: string): boolean => {
    for (const row of rows.values()) {
      if (!isPacked(row) && row.record.node === node && !isFinalStatus(row.record.status)) return true
    }
    return false
  }

  const isFenced = ({ record: { node } }: Commit, known: Row | undefined): boolean =>
    cluster !== undefined &&
    node !== undefined &&
    (known === undefined || !isFinalStatus(known.record.status)) &&
    !cluster.isAlive(node)

  const commit = (change: Commit): CommitReply => {
    const { record, expect } = change
    const known = packing.rowFor(record)
    // Nothing that comes here has left the process: a commit that is repeated brings the very record it brought before.
    if (known?.record === record) return committedAt(known)
    if ((known?.record.version ?? 0) !== expect.version || (known?.record.epoch ?? expect.epoch) > expect.epoch) {
      return { kind: 'stale' }
    }
    if (isFenced(change, known)) return { kind: 'stale' }
    const refusal = claims.refusalOf(change)
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
        deliveries: NONE,
        place: all.rows.lastPlace() + 1,
        ownerPlace: owner.rows.lastPlace() + 1,
        ownerPosition,
        position,
        endPlace: 0,
        claims: NONE,
      }
      rows.set(record.taskId, row)
      all.rows.append(row)
      owner.rows.append(row)
      count(owner, record.status, 1)
    } else {
      recount(owner, row.record.status, record.status)
      ended.leave(row)
      row.record = record
      row.ownerPosition = ownerPosition
      row.position = position
    }
    claims.take(row, change.claims)
    appendEvents(row, owner, change.events)
    trim(row, owner, change.trimTo)
    for (const entry of change.outbox) keepDelivery(row, owner, { entry })
    if (change.attachments.length > 0) {
      attachments.set(record.taskId, [...(attachments.get(record.taskId) ?? []), ...change.attachments])
    }
    if (isFinalStatus(record.status)) {
      if (before === undefined || !isFinalStatus(before)) claims.free(row)
      ended.enter(row)
    }
    if (change.events.length + change.outbox.length > 0) cluster?.hint({ owner: record.owner })
    return committedAt(row)
  }

  const putDelivery = (entry: OutboxEntry): DeliveryReply => {
    const row = packing.rowOf(entry.taskId)
    const known = row?.deliveries.find((delivery) => delivery.entry.deliveryId === entry.deliveryId)
    if (known?.entry.version === entry.version && known.entry.node === entry.node) return putAt(known)
    if (row === undefined || (known?.entry.version ?? 0) !== entry.version - 1) return { kind: 'stale' }
    ended.leave(row)
    const kept = keepDelivery(row, requireOwner(row.record.owner), { entry, known })
    ended.enter(row)
    cluster?.hint({ owner: row.record.owner })
    return putAt(kept)
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
      const entries: FeedEntry<StoredEvent>[] = []
      const row = rows.get(taskId)
      for (const kept of row === undefined ? [] : eventsOf(row)) {
        if (entries.length === limit) break
        if (kept.seq > afterSeq) entries.push(toEventEntry(kept))
      }
      return entries
    },
    readFeed({ owner, after, limit }) {
      return owner === undefined
        ? readPage(all.feed, { after, limit, by: 'position' })
        : readPage(owners.get(owner)?.feed, { after, limit, by: 'ownerPosition' })
    },
    lastPosition: (owner) => (owner === undefined ? all : owners.get(owner))?.feed.lastPlace() ?? 0,
    claimedBy: (claim) => claims.holderOf(claim),
    readAttachment: (taskId, wanted) => attachments.get(taskId)?.find(({ kind }) => kind === wanted)?.json,
    readOutbox: (taskId) => rows.get(taskId)?.deliveries.map(({ entry }) => entry) ?? NONE,
    listDeliveries: (query) => openDeliveries.list(query),
    putDelivery,
    prune({ now, maxEvicted, ...policy }) {
      let evicted = 0
      for (let oldest = ended.oldest(); oldest !== undefined; oldest = ended.oldest()) {
        const oldestEndedAt = factsOf(oldest).endedAt ?? 0
        const mustGo = mustEvictOldest(policy, { count: ended.count(), bytes: ended.bytes(), oldestEndedAt, now })
        if (!mustGo) {
          const areAllPacked = packing.packOld(maxEvicted)
          return { evicted, nextAt: areAllPacked ? oldestEndedAt + policy.finishedMs : now }
        }
        if (evicted === maxEvicted) return { evicted, nextAt: now }
        evict(oldest)
        evicted += 1
      }
      return { evicted }
    },
    close: () => undefined,
  }
}

function committedAt({ ownerPosition, position }: Row): CommitReply {
  return { kind: 'committed', ownerPosition, position }
}

function putAt({ ownerPosition, position }: KeptDelivery): DeliveryReply {
  return { kind: 'put', ownerPosition, position }
}
