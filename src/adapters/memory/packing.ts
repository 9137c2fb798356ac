/**
 * Rows in less room, and back again. What has ended is packed when `UNPACKED` others have ended after it, and once nothing has to be
 * dropped any more: a store that keeps no more than these packs nothing.
 */
import { isDeepStrictEqual } from 'node:util'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { EndedTasks } from './ended-tasks.ts'
import { eventsOf, isPacked, type KeptTask, type Owner, type Packed, type Row } from './kept-rows.ts'
import { createPacker } from './packed-row.ts'

const UNPACKED = 1_000

export interface Packing {
  /** The row of a task that may be about to change. */
  rowOf(taskId: string): Row | undefined
  /** The row of the task of this record. Where a packed one tells the same, it has this very record again. */
  rowFor(record: StoredRecord): Row | undefined
  /** Looks at what has ended long ago, at most so much of it, and packs what can be. Gives whether that is all. */
  packOld(maxPacked: number): boolean
}

export function createPacking(kept: {
  readonly rows: Map<string, KeptTask>
  readonly all: Owner
  readonly requireOwner: (owner: string) => Owner
  readonly ended: EndedTasks
}): Packing {
  const { rows, all, ended } = kept
  const packer = createPacker()
  /** The last place among the ends that was looked at. */
  let packedUntil = 0

  /** Puts a row, or what it is packed in, at all of its places. */
  const place = (row: Row, packed: Packed | undefined): void => {
    const owner = kept.requireOwner(row.record.owner)
    const task = packed ?? row
    rows.set(row.record.taskId, task)
    owner.rows.replace(row.ownerPlace, task)
    all.rows.replace(row.place, task)
    ended.replace(row.endPlace, task)
    for (const event of eventsOf(row)) {
      owner.feed.replace(event.ownerPosition, packed ?? event)
      all.feed.replace(event.position, packed ?? event)
    }
  }

  const unpack = (packed: Packed): Row => {
    const row = packed.unpack()
    place(row, undefined)
    return row
  }

  return {
    rowOf(taskId) {
      const known = rows.get(taskId)
      return known === undefined || !isPacked(known) ? known : unpack(known)
    },
    rowFor(record) {
      const known = rows.get(record.taskId)
      if (known === undefined || !isPacked(known)) return known
      const row = unpack(known)
      if (isDeepStrictEqual(row.record, record)) row.record = record
      return row
    },
    packOld(maxPacked) {
      const until = Math.min(ended.lastPlace() - UNPACKED, packedUntil + maxPacked)
      for (; packedUntil < until; packedUntil += 1) {
        const row = ended.at(packedUntil + 1)
        if (row === undefined || isPacked(row)) continue
        const packed = packer.pack(row)
        if (packed !== undefined) place(row, packed)
      }
      return packedUntil >= ended.lastPlace() - UNPACKED
    },
  }
}
