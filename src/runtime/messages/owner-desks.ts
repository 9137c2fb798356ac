/**
 * What is kept of owners in memory: what their tasks have sent them, what was sent in vain, and how far they have read.
 * A desk is made when it is first needed.
 *
 * 1. What waits on one desk is bounded as an inbox is; so are its dead letters, of which the oldest go first.
 * 2. All desks together are bounded: beyond that the one that was used longest ago goes, unless somebody reads there.
 * 3. Whatever goes unread is counted.
 */
import { hasRoom, type InboxLimits } from '../../../machines/policies/inbox.ts'
import type { DeadLetter, OwnerMessage, TaskMessage } from '../../ports/message.ts'
import type { Counters } from '../counters.ts'

const MAX_DESKS = 10_000
const MAX_BYTES = 64 * 1024 * 1024

/** A message that waits, with what it weighs. */
interface Weighed<Item> {
  readonly item: Item
  readonly bytes: number
}

/** A bounded line of things that wait. */
interface Line<Item> {
  readonly items: Weighed<Item>[]
  bytes: number
}

export interface OwnerDesk {
  readonly owner: string
  /** What tasks have sent. */
  readonly letters: Line<TaskMessage>
  readonly dead: Line<DeadLetter>
  /** How far the feed of the owner was read. */
  position: number
  /** What was taken out of the feed and not read after all. */
  readonly ahead: OwnerMessage[]
  /** Whether somebody reads here. */
  isAttended: boolean
}

export interface OwnerDesks {
  find(owner: string): OwnerDesk | undefined
  /** The desk of an owner, made when it is first needed. */
  require(owner: string): OwnerDesk
  /** Says whether there was room. */
  put(owner: string, message: TaskMessage, bytes: number): boolean
  takeLetter(desk: OwnerDesk): TaskMessage | undefined
  bury(owner: string, letter: DeadLetter, bytes: number): void
  /** Takes one dead letter out, or all of them. */
  unbury(
    desk: OwnerDesk,
    messageId: string | undefined,
  ): readonly { readonly item: DeadLetter; readonly bytes: number }[]
}

export function createOwnerDesks(parts: { readonly limits: InboxLimits; readonly counters: Counters }): OwnerDesks {
  const { limits, counters } = parts
  /** In the order of their use. */
  const desks = new Map<string, OwnerDesk>()
  let bytes = 0

  const push = <Item>(line: Line<Item>, item: Item, itemBytes: number): void => {
    line.items.push({ item, bytes: itemBytes })
    line.bytes += itemBytes
    bytes += itemBytes
  }

  const remove = <Item>(line: Line<Item>, index: number, count: number): Weighed<Item>[] => {
    const removed = line.items.splice(index, count)
    for (const { bytes: itemBytes } of removed) {
      line.bytes -= itemBytes
      bytes -= itemBytes
    }
    return removed
  }

  const clearAway = (): void => {
    for (const desk of desks.values()) {
      if (desks.size <= MAX_DESKS && bytes <= MAX_BYTES) return
      if (desk.isAttended) continue
      const letters = remove(desk.letters, 0, Infinity).length
      counters.droppedMessages += letters + remove(desk.dead, 0, Infinity).length
      desks.delete(desk.owner)
    }
  }

  const require = (owner: string): OwnerDesk => {
    const known = desks.get(owner)
    // Used last, so it is the last to go.
    if (known !== undefined) desks.delete(owner)
    const desk: OwnerDesk = known ?? {
      owner,
      letters: { items: [], bytes: 0 },
      dead: { items: [], bytes: 0 },
      position: 0,
      ahead: [],
      isAttended: false,
    }
    desks.set(owner, desk)
    return desk
  }

  return {
    find: (owner) => desks.get(owner),

    require(owner) {
      const desk = require(owner)
      clearAway()
      return desk
    },

    put(owner, message, itemBytes) {
      const { letters } = require(owner)
      if (!hasRoom(limits, { count: letters.items.length, bytes: letters.bytes }, itemBytes)) return false
      push(letters, message, itemBytes)
      clearAway()
      return true
    },

    takeLetter: ({ letters }) => remove(letters, 0, 1)[0]?.item,

    bury(owner, letter, itemBytes) {
      const { dead } = require(owner)
      push(dead, letter, itemBytes)
      while (!hasRoom(limits, { count: dead.items.length - 1, bytes: dead.bytes }, 0)) {
        counters.droppedMessages += remove(dead, 0, 1).length
      }
      clearAway()
    },

    unbury({ dead }, messageId) {
      if (messageId === undefined) return remove(dead, 0, Infinity)
      const index = dead.items.findIndex(({ item }) => item.messageId === messageId)
      return index === -1 ? [] : remove(dead, index, 1)
    },
  }
}
