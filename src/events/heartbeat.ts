/** A sign of life in streams that would be silent: for consumers behind a connection that closes when nothing comes. */
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { FeedSink } from './feed.ts'

/** A sink that also gets a heartbeat whenever nothing else came for `heartbeatMs`. The undo ends it. */
export function withHeartbeat(
  sink: FeedSink,
  heartbeatMs: number,
  deadlines: Deadlines,
): { readonly sink: FeedSink; readonly stop: () => void } {
  let next: Moment | undefined

  const wait = (): void => {
    next?.disarm()
    next = deadlines.idleAfter(heartbeatMs, beat, undefined)
  }
  const beat = (): void => {
    wait()
    sink.push({ type: 'stream.heartbeat' })
  }
  const stop = (): void => next?.disarm()

  wait()
  return {
    stop,
    sink: {
      push(item) {
        wait()
        sink.push(item)
      },
      whenReady: sink.whenReady,
      end() {
        stop()
        sink.end()
      },
      fail(error) {
        stop()
        sink.fail(error)
      },
    },
  }
}
