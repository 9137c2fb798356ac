/**
 * Who is next, among things that wait under owners.
 *
 * 1. Owners take turns: between two takes of one owner, every other owner that has something waiting is taken from once.
 * 2. Of one owner the highest priority goes first; of one priority what came first.
 * 3. An owner that may not go on is left out, and takes its turn again after `reopen`.
 * 4. Adding, leaving and taking cost the same however much waits.
 */

export interface FairQueue<Item> {
  size(): number
  /** Gives what takes the item out again. */
  add(owner: string, priority: number, item: Item): () => void
  take(): Item | undefined
  /** An owner that was left out may go on. */
  reopen(owner: string): void
}

/** What waits under one owner, by priority, the highest first. */
interface Line<Item> {
  readonly owner: string
  readonly lanes: Lane<Item>[]
  isInTurn: boolean
  nextInTurn: Line<Item> | undefined
}

/** What has one priority, in the order in which it came. */
interface Lane<Item> {
  readonly priority: number
  first: Place<Item> | undefined
  last: Place<Item> | undefined
}

interface Place<Item> {
  readonly item: Item
  previous: Place<Item> | undefined
  next: Place<Item> | undefined
}

export function createFairQueue<Item>(isOpen: (owner: string) => boolean): FairQueue<Item> {
  const lines = new Map<string, Line<Item>>()
  let size = 0
  let firstInTurn: Line<Item> | undefined
  let lastInTurn: Line<Item> | undefined

  const giveTurn = (line: Line<Item>): void => {
    line.isInTurn = true
    if (lastInTurn === undefined) firstInTurn = line
    else lastInTurn.nextInTurn = line
    lastInTurn = line
  }

  const nextTurn = (): Line<Item> | undefined => {
    const line = firstInTurn
    if (line === undefined) return undefined
    firstInTurn = line.nextInTurn
    if (firstInTurn === undefined) lastInTurn = undefined
    line.nextInTurn = undefined
    line.isInTurn = false
    return line
  }

  const dropIfIdle = (line: Line<Item>): void => {
    if (line.lanes.length === 0 && !line.isInTurn) lines.delete(line.owner)
  }

  const requireLane = ({ lanes }: Line<Item>, priority: number): Lane<Item> => {
    const index = lanes.findIndex((lane) => lane.priority <= priority)
    const known = lanes[index]
    if (known?.priority === priority) return known
    const lane: Lane<Item> = { priority, first: undefined, last: undefined }
    lanes.splice(index === -1 ? lanes.length : index, 0, lane)
    return lane
  }

  const leave = (line: Line<Item>, lane: Lane<Item>, place: Place<Item>): void => {
    if (place.previous === undefined) lane.first = place.next
    else place.previous.next = place.next
    if (place.next === undefined) lane.last = place.previous
    else place.next.previous = place.previous
    size -= 1
    if (lane.first === undefined) line.lanes.splice(line.lanes.indexOf(lane), 1)
  }

  return {
    size: () => size,

    add(owner, priority, item) {
      let line = lines.get(owner)
      if (line === undefined) {
        line = { owner, lanes: [], isInTurn: false, nextInTurn: undefined }
        lines.set(owner, line)
      }
      const lane = requireLane(line, priority)
      const place: Place<Item> = { item, previous: lane.last, next: undefined }
      if (lane.last === undefined) lane.first = place
      else lane.last.next = place
      lane.last = place
      size += 1
      if (!line.isInTurn) giveTurn(line)
      return () => {
        leave(line, lane, place)
        dropIfIdle(line)
      }
    },

    take() {
      for (let line = nextTurn(); line !== undefined; line = nextTurn()) {
        const lane = line.lanes[0]
        const place = lane?.first
        if (lane !== undefined && place !== undefined && isOpen(line.owner)) {
          leave(line, lane, place)
          if (line.lanes.length > 0) giveTurn(line)
          else dropIfIdle(line)
          return place.item
        }
        dropIfIdle(line)
      }
      return undefined
    },

    reopen(owner) {
      const line = lines.get(owner)
      if (line !== undefined && !line.isInTurn) giveTurn(line)
    },
  }
}
