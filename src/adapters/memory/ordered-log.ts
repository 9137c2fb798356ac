/**
 * Things at rising places, oldest first, from which any may be dropped. Reading after a place costs a binary search;
 * dropped places are squeezed out once they are the greater part.
 */
export interface OrderedLog<Item> {
  /** The last place given, dropped or not. */
  lastPlace(): number
  /** Adds an item at the next place. */
  append(item: Item): number
  drop(place: number): void
  /** What is kept after a place, oldest first. */
  after(place: number): IterableIterator<{ readonly place: number; readonly item: Item }>
  size(): number
}

const MIN_SQUEEZE = 64

export function createOrderedLog<Item>(): OrderedLog<Item> {
  let slots: { readonly place: number; item: Item | undefined }[] = []
  let lastPlace = 0
  let dropped = 0

  /** The index of the first slot after a place. */
  const indexAfter = (place: number): number => {
    let low = 0
    let high = slots.length
    while (low < high) {
      const middle = (low + high) >> 1
      const slot = slots[middle]
      if (slot !== undefined && slot.place <= place) low = middle + 1
      else high = middle
    }
    return low
  }

  return {
    lastPlace: () => lastPlace,
    append(item) {
      lastPlace += 1
      slots.push({ place: lastPlace, item })
      return lastPlace
    },
    drop(place) {
      const slot = slots[indexAfter(place) - 1]
      if (slot === undefined || slot.place !== place || slot.item === undefined) return
      slot.item = undefined
      dropped += 1
      if (dropped < MIN_SQUEEZE || dropped * 2 < slots.length) return
      slots = slots.filter((kept) => kept.item !== undefined)
      dropped = 0
    },
    *after(place) {
      for (let index = indexAfter(place); index < slots.length; index += 1) {
        const slot = slots[index]
        if (slot?.item !== undefined) yield { place: slot.place, item: slot.item }
      }
    },
    size: () => slots.length - dropped,
  }
}
