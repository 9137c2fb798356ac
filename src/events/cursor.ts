/**
 * Cursors: where a consumer stands, as one opaque string that resumes the stream of a task, of its owner, or of all.
 *
 * A cursor carries the incarnation of the log, the places of its event in the three streams, and tags of the task and
 * the owner, so that it is refused anywhere else. The tags are no secret and no lock: what a session may see is decided
 * by the session alone. They make a mistake loud.
 */
import { TaskError } from '../errors.ts'
import type { FeedEntry } from '../ports/task-store.ts'

export interface CursorPlaces {
  readonly incarnation: string
  readonly seq: number
  readonly ownerPosition: number
  /** Absent in what an owner gets: the place among all events would tell how busy the others are. */
  readonly position: number | undefined
  readonly taskTag: string
  readonly ownerTag: string
}

const RADIX = 36

/** Who a cursor is for: one owner, or whoever sees all. */
export type CursorReach = 'owner' | 'all'

const NO_POSITION = '-'

/** The cursor of an event. */
export function toCursor(incarnation: string, entry: FeedEntry, reach: CursorReach): string {
  const { event, record, ownerPosition, position } = entry
  // What is told of a delivery has no place in the stream of its task.
  const logId = 'deliveryId' in event ? event.deliveryId : record.taskId
  const body = [
    incarnation,
    event.seq.toString(RADIX),
    ownerPosition.toString(RADIX),
    reach === 'all' ? position.toString(RADIX) : NO_POSITION,
    tagOf(logId),
    tagOf(record.owner),
  ].join('.')
  return `${body}.${tagOf(body)}`
}

type Fields = readonly [string, string, string, string, string, string, string]

/** @throws `invalid_cursor` */
export function fromCursor(cursor: string): CursorPlaces {
  const [incarnation, seq, ownerPosition, position, taskTag, ownerTag, check] = cursor.split('.') as unknown as Fields
  // What has fewer fields has no tag here, and what has more of them has one of something else.
  if (check !== tagOf(cursor.slice(0, cursor.lastIndexOf('.')))) throw invalidCursor()
  return {
    incarnation,
    seq: toPlace(seq),
    ownerPosition: toPlace(ownerPosition),
    position: position === NO_POSITION ? undefined : toPlace(position),
    taskTag,
    ownerTag,
  }
}

export function invalidCursor(): TaskError {
  return new TaskError('invalid_cursor', 'The cursor does not belong to this stream.')
}

/** A short tag of a text (32-bit FNV-1a). */
export function tagOf(text: string): string {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return (hash >>> 0).toString(RADIX)
}

function toPlace(text: string): number {
  const place = Number.parseInt(text, RADIX)
  if (!Number.isSafeInteger(place) || place < 0) throw invalidCursor()
  return place
}
