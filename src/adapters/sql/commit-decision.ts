/**
 * What becomes of a group of commits, given what the database knows: decided in memory, with no more than one read and one
 * write for each table.
 *
 * 1. Each commit is judged by itself, and later ones of the group see the earlier ones.
 * 2. A commit that is refused leaves nothing in what is to be written.
 */
import { isFinalStatus, type TaskStatus } from '../../../machines/vocabulary.ts'
import { isFreshEventType, type StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { DeliveryLine, OutboxEntry } from '../../ports/delivery.ts'
import type { Attachment, Claim, Commit, CommitReply } from '../../ports/task-store.ts'

export type Counts = Partial<Record<TaskStatus, number>>

/** What is kept of a task beside its record. */
export interface TaskState {
  readonly place: number
  readonly owner: string
  readonly status: TaskStatus
  readonly version: number
  readonly epoch: number
  readonly commitId: string
  readonly ownerPosition: number
  readonly position: number
  readonly trimmedTo: number
  readonly hasClaims: boolean
  readonly resultBytes: number
  /** How many deliveries are pending. */
  readonly owed: number
  /** Absent while the task lives. */
  readonly endedAt: number | undefined
}

export interface LedgerState {
  position: number
  place: number
  /** Of the tasks that may be dropped. */
  finishedCount: number
  finishedBytes: number
  readonly counts: Counts
}

export interface OwnerState {
  position: number
  readonly counts: Counts
}

export interface HeldClaim {
  readonly kind: Claim['kind']
  readonly taskId: string
}

/** What the database knows of all that the group touches. It is changed as the commits are judged. */
export interface GroupState {
  readonly ledger: LedgerState
  readonly owners: Map<string, OwnerState>
  readonly tasks: Map<string, TaskState>
  /** By the digest of the claim. */
  readonly claims: Map<string, HeldClaim>
  readonly livingNodes: ReadonlySet<string>
}

interface Places {
  readonly ownerPosition: number
  readonly position: number
}

export interface PlacedEvent extends Places {
  readonly event: StoredEvent
  readonly taskId: string
  readonly owner: string
}

/** A new line of the log of a delivery. */
export interface PlacedLine extends Places {
  readonly line: DeliveryLine
  readonly entry: OutboxEntry
  readonly owner: string
}

/** A delivery in a new version, and where the first new line of its log was put. */
export interface PlacedDelivery extends Places {
  readonly entry: OutboxEntry
  /** Where its log begins in the feed over all. */
  readonly began: number
}

/** What is written of deliveries. */
export interface DeliveryWrites {
  readonly lines: PlacedLine[]
  readonly outbox: PlacedDelivery[]
}

/** What is to be written; the new state of what was read is in `GroupState`. */
export interface GroupWrites extends DeliveryWrites {
  readonly records: Map<string, StoredRecord>
  readonly events: PlacedEvent[]
  readonly trims: { readonly taskId: string; readonly after: number; readonly upTo: number }[]
  /** By digest. */
  readonly claims: Map<string, HeldClaim>
  /** Tasks whose claims are free now, but for those of kind `dedupe`. */
  readonly freed: Set<string>
  readonly attachments: { readonly taskId: string; readonly attachment: Attachment }[]
}

export function decideGroup(
  state: GroupState,
  commits: readonly Commit[],
  digestOf: (claim: Claim) => string,
): { readonly replies: readonly CommitReply[]; readonly writes: GroupWrites } {
  const writes: GroupWrites = {
    records: new Map(),
    events: [],
    trims: [],
    claims: new Map(),
    freed: new Set(),
    lines: [],
    outbox: [],
    attachments: [],
  }
  const replies = commits.map((commit) => refusalOf(state, commit, digestOf) ?? apply(state, writes, commit, digestOf))
  return { replies, writes }
}

/** The answer to a commit that changes nothing. */
function refusalOf(
  { tasks, claims, livingNodes }: GroupState,
  { id, expect, record, claims: wanted }: Commit,
  digestOf: (claim: Claim) => string,
): CommitReply | undefined {
  const known = tasks.get(record.taskId)
  if (known?.commitId === id) return committedAt(known)
  if ((known?.version ?? 0) !== expect.version || (known?.epoch ?? expect.epoch) > expect.epoch)
    return { kind: 'stale' }
  const isFenced = record.node !== undefined && (known === undefined || !isFinalStatus(known.status))
  if (isFenced && !livingNodes.has(record.node)) return { kind: 'stale' }
  for (const claim of wanted) {
    const held = claims.get(digestOf(claim))
    if (held !== undefined && held.taskId !== record.taskId) return { kind: 'claimed', claim, taskId: held.taskId }
  }
  return undefined
}

function apply(
  state: GroupState,
  writes: GroupWrites,
  commit: Commit,
  digestOf: (claim: Claim) => string,
): CommitReply {
  const { ledger, tasks } = state
  const { record, events, trimTo } = commit
  const { taskId } = record
  const known = tasks.get(taskId)
  const owner = requireOwner(state, record.owner)
  const isFinal = isFinalStatus(record.status)
  const wasFinal = known !== undefined && isFinalStatus(known.status)
  const resultBytes = record.resultBytes ?? 0
  const trimmedTo = known?.trimmedTo ?? 0

  const next: TaskState = {
    place: known?.place ?? (ledger.place += 1),
    owner: record.owner,
    status: record.status,
    version: record.version,
    epoch: record.epoch,
    commitId: commit.id,
    ownerPosition: owner.position + 1,
    position: ledger.position + 1,
    trimmedTo: Math.max(trimmedTo, trimTo),
    hasClaims: known?.hasClaims === true || commit.claims.length > 0,
    resultBytes,
    owed: (known?.owed ?? 0) + commit.outbox.filter(({ state: its }) => its === 'pending').length,
    endedAt: isFinal ? (record.endedAt ?? 0) : undefined,
  }
  tasks.set(taskId, next)
  writes.records.set(taskId, record)
  for (const counts of [ledger.counts, owner.counts]) recount(counts, known?.status, record.status)

  for (const event of events) {
    owner.position += 1
    ledger.position += 1
    const places = { ownerPosition: owner.position, position: ledger.position }
    writes.events.push({ event, taskId, owner: record.owner, ...places })
  }
  if (trimTo > trimmedTo) writes.trims.push({ taskId, after: trimmedTo, upTo: trimTo })
  for (const claim of commit.claims) takeClaim(state, writes, digestOf(claim), { kind: claim.kind, taskId })
  for (const entry of commit.outbox) {
    writes.outbox.push(placeDelivery({ ledger, owner, lines: writes.lines }, entry, record.owner))
  }
  for (const attachment of commit.attachments) writes.attachments.push({ taskId, attachment })

  if (isFinal && !wasFinal && next.hasClaims) freeClaims(state, writes, taskId)
  recountFinished(ledger, known, next)
  return committedAt(next)
}

/** Gives the new lines of a delivery their places, and says where its entry stands. */
export function placeDelivery(
  feeds: { readonly ledger: LedgerState; readonly owner: OwnerState; readonly lines: PlacedLine[] },
  entry: OutboxEntry,
  ownerId: string,
  known: { readonly lines: number; readonly began: number } = { lines: 0, began: feeds.ledger.position + 1 },
): PlacedDelivery {
  const { ledger, owner, lines } = feeds
  const places = { ownerPosition: owner.position + 1, position: ledger.position + 1 }
  for (const line of entry.log.slice(known.lines)) {
    owner.position += 1
    ledger.position += 1
    lines.push({ line, entry, owner: ownerId, ownerPosition: owner.position, position: ledger.position })
  }
  return { entry, began: known.began, ...places }
}

/** When a task ended that may be dropped. */
export function evictableAt({ endedAt, owed }: TaskState): number | undefined {
  return owed === 0 ? endedAt : undefined
}

export function recountFinished(ledger: LedgerState, before: TaskState | undefined, after: TaskState): void {
  if (before !== undefined && evictableAt(before) !== undefined) {
    ledger.finishedCount -= 1
    ledger.finishedBytes -= before.resultBytes
  }
  if (evictableAt(after) !== undefined) {
    ledger.finishedCount += 1
    ledger.finishedBytes += after.resultBytes
  }
}

function committedAt({ ownerPosition, position }: TaskState): CommitReply {
  return { kind: 'committed', ownerPosition, position }
}

function requireOwner({ owners }: GroupState, owner: string): OwnerState {
  const known = owners.get(owner)
  if (known !== undefined) return known
  const made: OwnerState = { position: 0, counts: {} }
  owners.set(owner, made)
  return made
}

export function recount(counts: Counts, before: TaskStatus | undefined, after: TaskStatus | undefined): void {
  if (before === after) return
  if (before !== undefined) counts[before] = (counts[before] ?? 0) - 1
  if (after !== undefined) counts[after] = (counts[after] ?? 0) + 1
}

function takeClaim({ claims }: GroupState, writes: GroupWrites, digest: string, claim: HeldClaim): void {
  claims.set(digest, claim)
  writes.claims.set(digest, claim)
}

function freeClaims({ claims }: GroupState, writes: GroupWrites, taskId: string): void {
  writes.freed.add(taskId)
  for (const held of [claims, writes.claims]) {
    for (const [digest, claim] of held) if (claim.taskId === taskId && claim.kind !== 'dedupe') held.delete(digest)
  }
}

/** Whether an event was trimmed by a commit of its own group, and so is not written at all. */
export function isTrimmedAtOnce({ event, taskId }: PlacedEvent, tasks: GroupState['tasks']): boolean {
  return isFreshEventType(event.type) && event.seq <= (tasks.get(taskId)?.trimmedTo ?? 0)
}
