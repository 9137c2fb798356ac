/** A commit as the arguments of the script that writes it, and what the script says to it. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { isFreshEventType } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { Commit, CommitReply } from '../../ports/task-store.ts'
import { claimField, fromKeyPart, toKeyPart } from './keys.ts'
import { toStoreError } from './redis-errors.ts'

/** The indexes besides those of its owner and of all in which a task stands for good. What they are of never changes. */
function indexesOf(record: StoredRecord): string[] {
  const { parentId, rootId, depth, conversation, correlation } = record
  return [
    ...(parentId === undefined ? [] : [`childrenOf:${toKeyPart(parentId)}`]),
    // A root stands for its tree alone until something is below it.
    ...(depth === 0 ? [] : [`treeOf:${toKeyPart(rootId)}`]),
    ...(conversation === undefined ? [] : [`conversationOf:${toKeyPart(conversation)}`]),
    ...(correlation?.runId === undefined ? [] : [`runOf:${toKeyPart(correlation.runId)}`]),
  ]
}

/** What lists are filtered by, beside the status and the node, which change. */
function filterFieldsOf({ tool, rootId, parentId, name, conversation, correlation }: StoredRecord): string[] {
  const fields: [string, string | undefined][] = [
    ['tool', tool],
    ['root', rootId],
    ['parent', parentId],
    ['name', name],
    ['conversation', conversation],
    ['run', correlation?.runId],
  ]
  return fields.flatMap(([field, value]) => (value === undefined ? [] : [field, toKeyPart(value)]))
}

/** Where an ended task stands, for the day on which it is dropped: its record may have expired by then. */
function tombstoneOf(record: StoredRecord): string {
  const { status, resultBytes = 0, endedAt = 0 } = record
  return JSON.stringify([toKeyPart(record.owner), status, resultBytes, endedAt, ...indexesOf(record)])
}

/** No node has an empty name. */
export function nodePart(node: string | undefined): string {
  return node === undefined ? '' : toKeyPart(node)
}

/** In the order in which `commit-script.ts` reads them. */
export function appendCommitArguments(args: (string | number)[], change: Commit): void {
  const { record, expect, events, outbox, claims, attachments } = change
  const isNew = expect.version === 0
  const isFinal = isFinalStatus(record.status)
  const fields = isNew ? filterFieldsOf(record) : []
  const indexes = isNew ? indexesOf(record) : []
  args.push(toKeyPart(record.taskId), toKeyPart(record.owner), change.id, expect.version, expect.epoch)
  args.push(record.version, record.epoch, record.status, nodePart(record.node))
  args.push(JSON.stringify(record), isFinal ? (record.endedAt ?? 0) : '', record.resultBytes ?? 0)
  args.push(isFinal ? tombstoneOf(record) : '', change.trimTo)
  args.push(events.length, outbox.length, claims.length, attachments.length, fields.length / 2, indexes.length)
  args.push(
    events.length * 3 + outbox.length * 5 + claims.length + attachments.length * 2 + fields.length + indexes.length,
  )
  const areAllFresh = events.every(({ type }) => isFreshEventType(type))
  for (const [index, { seq, type, at, epoch, data }] of events.entries()) {
    // With its last event a commit of fresh events goes from the feeds.
    const isLast = areAllFresh && index === events.length - 1
    args.push(seq, JSON.stringify({ type, at, epoch, data }), isLast ? 'last' : isFreshEventType(type) ? 'yes' : '')
  }
  for (const entry of outbox) {
    args.push(toKeyPart(entry.deliveryId), entry.state, entry.log.length, nodePart(entry.node), JSON.stringify(entry))
  }
  for (const claim of claims) args.push(claimField(claim))
  for (const { kind, json } of attachments) args.push(kind, json)
  args.push(...fields, ...indexes)
}

/** What the script said to one commit: the answer, or why it could not be written. */
export function toCommitReply(reply: unknown, change: Commit): CommitReply | Error {
  const [kind, first, second] = reply as readonly unknown[]
  if (kind === 'committed') return { kind, ownerPosition: Number(first), position: Number(second) }
  if (kind === 'stale') return { kind }
  const claim = change.claims[Number(first) - 1]
  if (kind === 'claimed' && claim !== undefined) return { kind, claim, taskId: fromKeyPart(String(second)) }
  return toStoreError(new Error(String(first)))
}
