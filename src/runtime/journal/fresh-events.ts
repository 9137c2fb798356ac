/** What code reports: kept up to a limit that counts the latest, also before it is written. */
import { decideTrim } from '../../../machines/policies/retention.ts'
import type { Settings } from '../../settings.ts'
import { isFreshEventType, type StoredEvent } from '../../ports/task-event.ts'
import type { Counters } from '../counters.ts'
import { reportedOf, type LiveTask } from '../live-task.ts'

export interface FreshEvents {
  /** Counts one more of `chars`. Gives the number up to which the fresh ones of the task are to be trimmed. */
  count(task: LiveTask, event: StoredEvent, chars: number): number
}

export function createFreshEvents(parts: {
  readonly retention: Settings['retention']
  readonly counters: Counters
}): FreshEvents {
  const { retention, counters } = parts
  return {
    count(task, event, chars) {
      const fresh = (reportedOf(task).fresh ??= { events: [], chars: 0 })
      fresh.events.push({ seq: event.seq, chars })
      fresh.chars += chars
      const trimTo = decideTrim(retention, fresh)
      for (let oldest = fresh.events[0]; oldest !== undefined && oldest.seq <= trimTo; oldest = fresh.events[0]) {
        fresh.events.shift()
        fresh.chars -= oldest.chars
        counters.trimmedEvents += 1
      }
      return trimTo
    },
  }
}

/** Without the events that were trimmed before they were committed. */
export function withoutTrimmed(events: StoredEvent[], trimTo: number): StoredEvent[] {
  return trimTo === 0 ? events : events.filter((event) => event.seq > trimTo || !isFreshEventType(event.type))
}
