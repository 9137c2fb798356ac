/** Ways to do only so much at a time. */

/** Works through the items, at most `lanes` of them at a time. `work` has to deal with its own errors. */
export async function inLanes<Item>(
  items: Iterable<Item>,
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  const lane = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** The items as long as they are wanted; asked again before each. */
export function* whileWanted<Item>(items: Iterable<Item>, isWanted: () => boolean): Generator<Item> {
  for (const item of items) {
    if (!isWanted()) return
    yield item
  }
}
