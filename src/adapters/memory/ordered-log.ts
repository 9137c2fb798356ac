/**
 * Things at rising places, oldest first, from which any may be dropped, and come back. They lie in chunks of `CHUNK` places:
 * adding, dropping and finding a place cost the same at any size, and a chunk goes when everything in it was dropped.
 */
export interface OrderedLog<Item> {
  /** The last place given, dropped or not. */
  lastPlace(): number
  /** Adds an item at the next place. */
  append(item: Item): number
  /** Whether there was something. */
  drop(place: number): boolean
  /** Puts an item at a place that was given before and dropped. */
  restore(place: number, item: Item): void
  /** What is kept at a place. */
  at(place: number): Item | undefined
  /** Puts an item in the place of another one that is kept. */
  replace(place: number, item: Item): void
  oldest(): Item | undefined
  /** What is kept after a place, oldest first. */
  after(place: number): IterableIterator<{ readonly place: number; readonly item: Item }>
  size(): number
}

const CHUNK = 256

interface Chunk<Item> {
  readonly number: number
  readonly items: (Item | undefined)[]
  count: number
}

export function createOrderedLog<Item>(): OrderedLog<Item> {
  /** By the number of the chunk. */
  const chunks = new Map<number, Chunk<Item>>()
  /** No chunk comes before this number. */
  let firstNumber = 0
  let lastPlace = 0
  /** Nothing is kept before this place. */
  let seekFrom = 0
  let size = 0

  /** The chunks used last: what is appended, and what is dropped in its order, mostly lies where the one before lay. */
  let appending: Chunk<Item> = { number: -1, items: [], count: 0 }
  let dropping = appending

  const remove = (number: number): void => {
    chunks.delete(number)
    while (firstNumber < numberOf(lastPlace) && !chunks.has(firstNumber)) firstNumber += 1
  }

  return {
    lastPlace: () => lastPlace,
    append(item) {
      lastPlace += 1
      size += 1
      const number = numberOf(lastPlace)
      if (appending.number !== number) {
        if (appending.count === 0) remove(appending.number)
        // A log that has filled a chunk is likely to fill the next: made whole, that has no room to spare.
        appending = { number, items: number === 0 ? [] : Array.from({ length: CHUNK }), count: 0 }
        chunks.set(number, appending)
      }
      appending.items[lastPlace - number * CHUNK] = item
      appending.count += 1
      return lastPlace
    },
    drop(place) {
      const number = numberOf(place)
      if (dropping.number !== number) {
        const chunk = chunks.get(number)
        if (chunk === undefined) return false
        dropping = chunk
      }
      const index = place - number * CHUNK
      if (dropping.items[index] === undefined) return false
      dropping.items[index] = undefined
      dropping.count -= 1
      size -= 1
      // An empty chunk that is still being filled goes when it is full.
      if (dropping.count === 0 && dropping !== appending) remove(number)
      return true
    },
    restore(place, item) {
      const number = numberOf(place)
      const chunk = chunks.get(number) ?? { number, items: Array.from({ length: CHUNK }), count: 0 }
      chunks.set(number, chunk)
      firstNumber = Math.min(firstNumber, number)
      seekFrom = Math.min(seekFrom, place)
      // What was dropped last may have lain in a chunk of this number that is gone.
      if (dropping.number === number) dropping = chunk
      chunk.items[place - number * CHUNK] = item
      chunk.count += 1
      size += 1
    },
    at: (place) => chunks.get(numberOf(place))?.items[place % CHUNK],
    replace(place, item) {
      const items = chunks.get(numberOf(place))?.items
      if (items?.[place % CHUNK] !== undefined) items[place % CHUNK] = item
    },
    oldest() {
      while (seekFrom <= lastPlace) {
        const number = numberOf(seekFrom)
        const chunk = chunks.get(number)
        const item = chunk?.items[seekFrom - number * CHUNK]
        if (item !== undefined) return item
        seekFrom = chunk === undefined ? Math.min((number + 1) * CHUNK, lastPlace + 1) : seekFrom + 1
      }
      return undefined
    },
    after: (place) => itemsFrom(chunks, Math.max(place + 1, firstNumber * CHUNK), lastPlace),
    size: () => size,
  }
}

/** The number of the chunk in which a place lies. */
function numberOf(place: number): number {
  return Math.floor(place / CHUNK)
}

function* itemsFrom<Item>(
  chunks: ReadonlyMap<number, Chunk<Item>>,
  from: number,
  to: number,
): Generator<{ readonly place: number; readonly item: Item }> {
  for (let number = numberOf(from); number <= numberOf(to); number += 1) {
    const start = number * CHUNK
    const items = chunks.get(number)?.items ?? []
    for (let index = Math.max(0, from - start); index < items.length; index += 1) {
      const item = items[index]
      if (item !== undefined) yield { place: start + index, item }
    }
  }
}
