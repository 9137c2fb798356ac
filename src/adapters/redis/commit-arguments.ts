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

const NONE: readonly string[] = Object.freeze([])

/** No node has an empty name. */
export function nodePart(node: string | undefined): string {
  return node === undefined ? '' : toKeyPart(node)
}

/**
 * As `commit-script.ts` reads them: the head, whose lines are what is short and looked at, the record, then what there is of
 * the end, events, deliveries, claims, attachments, filters and indexes. Each argument costs the client and the server
 * about as much as its bytes, so most commits have four or five.
 */
export function appendCommitArguments(args: (string | number)[], change: Commit): void {
  const { record, expect, events, outbox, claims, attachments } = change
  const isNew = expect.version === 0
  const isFinal = isFinalStatus(record.status)
  const fields = isNew ? filterFieldsOf(record) : NONE
  const indexes = isNew ? indexesOf(record) : NONE
  const place = args.push('', JSON.stringify(record)) - 2
  if (isFinal) args.push(tombstoneOf(record))
  for (const { type, at, epoch, data } of events) args.push(JSON.stringify({ type, at, epoch, data }))
  for (const entry of outbox) {
    args.push(toKeyPart(entry.deliveryId), entry.state, entry.log.length, nodePart(entry.node), JSON.stringify(entry))
  }
  for (const claim of claims) args.push(claimField(claim))
  for (const { kind, json } of attachments) args.push(kind, json)
  for (const text of fields) args.push(text)
  for (const text of indexes) args.push(text)
  args[place] = [
    toKeyPart(record.taskId),
    toKeyPart(record.owner),
    toKeyPart(change.id),
    expect.version,
    expect.epoch,
    record.version,
    record.epoch,
    record.status,
    nodePart(record.node),
    isFinal ? (record.endedAt ?? 0) : '',
    record.resultBytes ?? 0,
    change.trimTo,
    marksOf(events),
    events.length,
    outbox.length,
    claims.length,
    attachments.length,
    fields.length / 2,
    indexes.length,
    args.length - place,
  ].join('\n')
}

/** The number of each event, and whether it is a fresh one. With its last event a commit of fresh events goes from the feeds. */
function marksOf(events: Commit['events']): string {
  const areAllFresh = events.every(({ type }) => isFreshEventType(type))
  let marks = ''
  for (const [index, { seq, type }] of events.entries()) {
    const isLast = areAllFresh && index === events.length - 1
    marks += `${seq}${isLast ? 'last' : isFreshEventType(type) ? 'yes' : ''},`
  }
  return marks
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
