/** A group of commits as the argument of the script that writes it, and what the script says to one of them. */
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
const FILTERS: readonly (readonly [field: string, of: (record: StoredRecord) => string | undefined])[] = [
  ['tool', ({ tool }) => tool],
  ['root', ({ rootId }) => rootId],
  ['parent', ({ parentId }) => parentId],
  ['name', ({ name }) => name],
  ['conversation', ({ conversation }) => conversation],
  ['run', ({ correlation }) => correlation?.runId],
]

/** Gives how many fields there are. */
function appendFilters(parts: string[], record: StoredRecord): number {
  let count = 0
  for (const [field, of] of FILTERS) {
    const value = of(record)
    if (value === undefined) continue
    parts.push(field, toKeyPart(value))
    count += 1
  }
  return count
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

/** Parts a part from the next one. Neither JSON nor key parts have control characters. */
export const SEPARATOR = '\u001F'

/**
 * One text for the group, as `commit-script.ts` takes it apart: each argument costs the client about as much as its bytes, and
 * the script less to cut from one.
 */
export function toCommitsArgument(group: readonly Commit[]): string {
  const parts: string[] = []
  for (const change of group) appendCommit(parts, change)
  parts.push('')
  return parts.join(SEPARATOR)
}

/**
 * The head, whose lines are what is short and looked at, the record, then what there is of the end, events, deliveries,
 * claims, attachments, filters and indexes.
 */
function appendCommit(parts: string[], change: Commit): void {
  const { record, expect, events, outbox, claims, attachments } = change
  const isNew = expect.version === 0
  const isFinal = isFinalStatus(record.status)
  const place = parts.push('', JSON.stringify(record)) - 2
  if (isFinal) parts.push(tombstoneOf(record))
  for (const { type, at, epoch, data } of events) parts.push(JSON.stringify({ type, at, epoch, data }))
  for (const entry of outbox) {
    parts.push(
      toKeyPart(entry.deliveryId),
      entry.state,
      String(entry.log.length),
      nodePart(entry.node),
      JSON.stringify(entry),
    )
  }
  for (const claim of claims) parts.push(claimField(claim))
  for (const { kind, json } of attachments) parts.push(kind, json)
  const fieldCount = isNew ? appendFilters(parts, record) : 0
  const indexes = isNew ? indexesOf(record) : NONE
  parts.push(...indexes)
  parts[place] = [
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
    fieldCount,
    indexes.length,
    parts.length - place,
  ].join('\n')
}

/** The number of each event, and whether it is a fresh one. With its last event a commit of fresh events goes from the feeds. */
function marksOf(events: Commit['events']): string {
  const last = events.every(({ type }) => isFreshEventType(type)) ? events.at(-1) : undefined
  let marks = ''
  for (const event of events) {
    const fresh = event === last ? 'last' : isFreshEventType(event.type) ? 'yes' : ''
    marks += `${event.seq}${fresh},`
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
