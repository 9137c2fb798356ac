/**
 * A task that has ended as most do, asked for, begun and done, in one object instead of a row, a record and three events. What it
 * has in common with others of its owner and tool is said once, in a model. Its record and its events are made again when they
 * are read, and are what was packed: what could not be made again is not packed.
 */
import { isDeepStrictEqual } from 'node:util'
import type { StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import { eventsOf, type KeptEvent, type Packed, type Places, type Row } from './kept-rows.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }
type Triple = readonly [queued: KeptEvent, started: KeptEvent, completed: KeptEvent]

/** A record without what each task has of its own, but for the moment from which others count theirs. */
type Model = Omit<StoredRecord, 'resultJson' | 'resultBytes'>

/** What each task has of its own. */
const OWN: ReadonlySet<string> = new Set([
  'taskId',
  'rootId',
  'createdAt',
  'startedAt',
  'endedAt',
  'resultJson',
  'resultBytes',
] satisfies (keyof StoredRecord)[])

const NO_DATA = Object.freeze({})
const FIRST_ATTEMPT = Object.freeze({ attempt: 1 })
const NONE: readonly never[] = Object.freeze([])
const MAX_MODELS = 256
/** How much later than the moments of the record its events were numbered, in milliseconds, and how far the events lie apart. */
const LAG_BITS = [16, 7, 7] as const
const STEP_BITS = [15, 15] as const

export interface Packer {
  /** Nothing when the row is not one of those that can be packed. */
  pack(row: Row): Packed | undefined
}

export function createPacker(): Packer {
  const models = new Map<string, Model>()

  return {
    pack(row) {
      const { record } = row
      const triple = tripleOf(row)
      if (triple === undefined || !isWholeIn(row, triple)) return undefined
      // Owners hold no control characters, so the key is unambiguous.
      const key = `${record.owner}\u0000${record.tool}`
      const model = models.get(key)
      if (model !== undefined && isLike(model, record)) return new PackedRow(row, model, triple)
      if (model === undefined && models.size >= MAX_MODELS) models.clear()
      // Whoever comes next may be like this one.
      models.set(key, toModel(record))
      return undefined
    },
  }
}

/** A class, because there may be hundreds of thousands: each field is eight bytes, as long as numbers are whole and small. */
class PackedRow implements Packed {
  readonly #taskId: string
  readonly #model: Model
  readonly #resultJson: string | undefined
  /** Later than that of the model. */
  readonly #createdAfterMs: number
  readonly #startedAfterMs: number
  readonly #ranMs: number
  readonly #lagsMs: number
  readonly #ownerPosition: number
  readonly #position: number
  readonly #ownerSteps: number
  readonly #steps: number
  readonly place: number
  readonly ownerPlace: number
  readonly endPlace: number

  constructor(row: Row, model: Model, triple: Triple) {
    const { taskId, resultJson, createdAt, startedAt = 0, endedAt = 0 } = row.record
    const [queued] = triple
    this.#taskId = taskId
    this.#model = model
    this.#resultJson = resultJson
    this.#createdAfterMs = createdAt - model.createdAt
    this.#startedAfterMs = startedAt - createdAt
    this.#ranMs = endedAt - startedAt
    this.#lagsMs = join(LAG_BITS, lagsOf(row.record, triple))
    this.#ownerPosition = queued.ownerPosition
    this.#position = queued.position
    this.#ownerSteps = join(STEP_BITS, stepsOf(triple, 'ownerPosition'))
    this.#steps = join(STEP_BITS, stepsOf(triple, 'position'))
    this.place = row.place
    this.ownerPlace = row.ownerPlace
    this.endPlace = row.endPlace
  }

  get record(): StoredRecord {
    const record: Mutable<StoredRecord> = { ...this.#model, taskId: this.#taskId }
    if (record.parentId === undefined) record.rootId = this.#taskId
    record.createdAt += this.#createdAfterMs
    record.startedAt = record.createdAt + this.#startedAfterMs
    record.endedAt = record.startedAt + this.#ranMs
    if (this.#resultJson !== undefined) {
      record.resultJson = this.#resultJson
      record.resultBytes = Buffer.byteLength(this.#resultJson)
    }
    return Object.freeze(record)
  }

  get taskId(): string {
    return this.#taskId
  }

  get owner(): string {
    return this.#model.owner
  }

  get status(): StoredRecord['status'] {
    return this.#model.status
  }

  get endedAt(): number {
    return this.#model.createdAt + this.#createdAfterMs + this.#startedAfterMs + this.#ranMs
  }

  get resultBytes(): number {
    return this.#resultJson === undefined ? 0 : Buffer.byteLength(this.#resultJson)
  }

  get deliveries(): readonly never[] {
    return NONE
  }

  get claims(): readonly never[] {
    return NONE
  }

  places(): readonly [queued: Places, started: Places, completed: Places] {
    const [toOwnerStart = 0, toOwnerEnd = 0] = split(STEP_BITS, this.#ownerSteps)
    const [toStart = 0, toEnd = 0] = split(STEP_BITS, this.#steps)
    const queued = { ownerPosition: this.#ownerPosition, position: this.#position }
    const started = { ownerPosition: queued.ownerPosition + toOwnerStart, position: queued.position + toStart }
    const completed = { ownerPosition: started.ownerPosition + toOwnerEnd, position: started.position + toEnd }
    return [queued, started, completed]
  }

  unpack(): Row {
    const { record } = this
    const { createdAt, startedAt = 0, endedAt = 0, epoch } = record
    const [queuedLag = 0, startedLag = 0, endLag = 0] = split(LAG_BITS, this.#lagsMs)
    const [queued, started, completed] = this.places()
    const row: Row = {
      record,
      firstEvent: undefined,
      lastEvent: undefined,
      deliveries: NONE,
      place: this.place,
      ownerPlace: this.ownerPlace,
      ...completed,
      endPlace: this.endPlace,
      claims: NONE,
    }
    const tell = (event: Omit<StoredEvent, 'epoch'>, places: Places): void => {
      const kept = { epoch, row, next: undefined, ...event, ...places } as KeptEvent
      if (row.lastEvent === undefined) row.firstEvent = kept
      else row.lastEvent.next = kept
      row.lastEvent = kept
    }
    tell({ seq: 1, type: 'task.queued', at: createdAt + queuedLag, data: NO_DATA }, queued)
    tell({ seq: 2, type: 'task.started', at: startedAt + startedLag, data: FIRST_ATTEMPT }, started)
    const data = { durationMs: Math.max(0, this.#ranMs) }
    tell({ seq: 3, type: 'task.completed', at: endedAt + endLag, data }, completed)
    return row
  }
}

/** The events of a task that was asked for, begun and done, and said nothing else. */
function tripleOf(row: Row): Triple | undefined {
  const { record } = row
  const [queued, started, completed, ...more] = eventsOf(row)
  if (queued === undefined || started === undefined || completed === undefined || more.length > 0) return undefined
  const isPlain =
    queued.type === 'task.queued' &&
    Object.keys(queued.data).length === 0 &&
    started.type === 'task.started' &&
    'attempt' in started.data &&
    started.data.attempt === 1 &&
    completed.type === 'task.completed' &&
    'durationMs' in completed.data &&
    completed.data.durationMs === Math.max(0, (record.endedAt ?? 0) - (record.startedAt ?? 0)) &&
    [queued, started, completed].every(({ seq, epoch }, index) => seq === index + 1 && epoch === record.epoch)
  return isPlain ? [queued, started, completed] : undefined
}

/** Whether all that a packed row says for itself has room in it. */
function isWholeIn({ record, position, deliveries, claims }: Row, triple: Triple): boolean {
  const { taskId, parentId, rootId, createdAt, startedAt = 0, endedAt = 0, resultJson, resultBytes } = record
  return (
    deliveries.length === 0 &&
    claims.length === 0 &&
    position === triple[2].position &&
    (parentId === undefined) === (rootId === taskId) &&
    isSmall(startedAt - createdAt) &&
    isSmall(endedAt - startedAt) &&
    canJoin(LAG_BITS, lagsOf(record, triple)) &&
    canJoin(STEP_BITS, stepsOf(triple, 'ownerPosition')) &&
    canJoin(STEP_BITS, stepsOf(triple, 'position')) &&
    resultBytes === (resultJson === undefined ? undefined : Buffer.byteLength(resultJson))
  )
}

/** Whether a record differs from the model only in what is its own. */
function isLike(model: Model, record: StoredRecord): boolean {
  if (!isSmall(record.createdAt - model.createdAt)) return false
  if (record.parentId !== undefined && record.rootId !== model.rootId) return false
  return sharedKeys(record) === sharedKeys(model) && everyShared(record, model)
}

function sharedKeys(record: Model): number {
  let count = 0
  for (const key in record) if (!OWN.has(key)) count += 1
  return count
}

function everyShared(record: StoredRecord, model: Model): boolean {
  for (const key in record) {
    if (OWN.has(key)) continue
    const [own, other] = [record[key as keyof Model], model[key as keyof Model]]
    if (own !== other && (typeof own !== 'object' || !isDeepStrictEqual(own, other))) return false
  }
  return true
}

function toModel({ resultJson: _json, resultBytes: _bytes, ...model }: StoredRecord): Model {
  return model
}

function lagsOf(
  { createdAt, startedAt = 0, endedAt = 0 }: StoredRecord,
  [queued, started, completed]: Triple,
): number[] {
  return [queued.at - createdAt, started.at - startedAt, completed.at - endedAt]
}

function stepsOf([queued, started, completed]: Triple, key: 'ownerPosition' | 'position'): number[] {
  return [started[key] - queued[key], completed[key] - started[key]]
}

/** Whether V8 keeps it in the field itself. */
function isSmall(value: number): boolean {
  return (value | 0) === value
}

function canJoin(bits: readonly number[], values: readonly number[]): boolean {
  return values.every((value, index) => isSmall(value) && value >= 0 && value < 2 ** (bits[index] ?? 0))
}

/** Several small numbers as one. */
function join(bits: readonly number[], values: readonly number[]): number {
  let joined = 0
  for (let index = 0; index < bits.length; index += 1) joined = (joined << (bits[index] ?? 0)) | (values[index] ?? 0)
  return joined
}

function split(bits: readonly number[], joined: number): number[] {
  const values: number[] = []
  let left = joined
  for (let index = bits.length - 1; index >= 0; index -= 1) {
    const width = bits[index] ?? 0
    values[index] = left & (2 ** width - 1)
    left >>>= width
  }
  return values
}
