/**
 * Streams as async iterators, for consumers that pull.
 *
 * 1. At most `maxBuffered` items wait for the consumer. One more cuts it off: what is buffered is still handed out, then
 *    the iterator throws a `StreamLaggedError` with the cursor to resume from.
 * 2. A replay waits for the consumer; what is live does not.
 * 3. Leaving the loop, or the signal, ends the stream and frees all it holds.
 */
import { onAbort } from '../abort-listeners.ts'
import { StreamLaggedError } from '../errors.ts'
import type { StreamItem } from '../ports/task-event.ts'
import type { FeedSink } from './feed.ts'

/** A replay pauses while more than this many items wait, or as many as may wait at all. */
const MAX_REPLAY_AHEAD = 256

export function toIterator(
  open: (sink: FeedSink) => () => void,
  options: { readonly maxBuffered: number; readonly signal: AbortSignal | undefined; readonly onCut: () => void },
): AsyncIterableIterator<StreamItem> {
  const buffer: StreamItem[] = []
  const replayAhead = Math.min(MAX_REPLAY_AHEAD, options.maxBuffered - 1)
  let outcome: { readonly error?: unknown } | undefined
  let lastCursor: string | undefined
  let close: (() => void) | undefined
  let stopListening: (() => void) | undefined
  let isOpen = false
  let wakeReader: (() => void) | undefined
  let wakeReplay: (() => void) | undefined

  const wake = (): void => {
    wakeReader?.()
    wakeReader = undefined
  }

  const finish = (result: { readonly error?: unknown }): void => {
    if (outcome !== undefined) return
    outcome = result
    stopListening?.()
    close?.()
    wakeReplay?.()
    wake()
  }

  const leave = (): void => {
    buffer.length = 0
    finish({})
  }

  const sink: FeedSink = {
    push(item) {
      if (outcome !== undefined) return
      // A consumer that has something to read knows that the stream lives.
      if (item.type === 'stream.heartbeat' && buffer.length > 0) return
      if (buffer.length >= options.maxBuffered) {
        options.onCut()
        finish({ error: new StreamLaggedError(cursorOfLast(buffer) ?? lastCursor) })
        return
      }
      buffer.push(item)
      wake()
    },
    whenReady() {
      if (buffer.length <= replayAhead || outcome !== undefined) return undefined
      return new Promise((resolve) => {
        wakeReplay = resolve
      })
    },
    end: () => finish({}),
    fail: (error) => finish({ error }),
  }

  const start = (): void => {
    isOpen = true
    if (options.signal?.aborted === true) return finish({})
    stopListening = onAbort(options.signal, leave)
    close = open(sink)
    if (outcome !== undefined) close()
  }

  const take = (): IteratorResult<StreamItem> | undefined => {
    const item = buffer.shift()
    if (item !== undefined) {
      if ('cursor' in item && item.cursor !== undefined) lastCursor = item.cursor
      if (buffer.length <= replayAhead) {
        wakeReplay?.()
        wakeReplay = undefined
      }
      return { done: false, value: item }
    }
    if (outcome === undefined) return undefined
    if (!('error' in outcome)) return { done: true, value: undefined }
    const { error } = outcome
    outcome = {}
    throw error
  }

  // The stream is open from the call on, not from the first `next`: what happens in between belongs to it.
  start()

  return {
    async next() {
      for (;;) {
        const result = take()
        if (result !== undefined) return result
        await new Promise<void>((resolve) => {
          const wakeOthers = wakeReader
          wakeReader = () => {
            wakeOthers?.()
            resolve()
          }
        })
      }
    },
    async return() {
      buffer.length = 0
      if (isOpen) finish({})
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

function cursorOfLast(items: readonly StreamItem[]): string | undefined {
  for (let index = items.length - 1; index >= 0; index -= 1) {
    const item = items[index]
    if (item !== undefined && 'cursor' in item && item.cursor !== undefined) return item.cursor
  }
  return undefined
}
