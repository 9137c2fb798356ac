/** Short views of what a stream yielded, for assertions that read like the stream itself. */
import { isTaskEvent, type StreamItem, type TaskEvent } from 'outlive'

/** Events as `taskId:seq`, marks as their type, gaps with their bounds. */
export function placesOf(items: readonly StreamItem[]): string[] {
  return items.map((item) => {
    if (isTaskEvent(item)) return `${item.taskId}:${item.seq}`
    return item.type === 'stream.gap' ? `gap ${item.from}-${item.to}` : item.type
  })
}

/** Events and marks by their type, without the prefix of events; custom ones by their name. */
export function typesOf(items: readonly StreamItem[]): string[] {
  return items.map((item) => (item.type === 'task.custom' ? item.name : item.type.replace(/^task\./, '')))
}

/** Events without their cursors: an operator's say where it stands in the whole store, an owner's do not. */
export function withoutCursors(items: readonly StreamItem[]): StreamItem[] {
  return items.map((item) => {
    if (!isTaskEvent(item)) return item
    const { cursor: _, ...event } = item
    return event
  })
}

export function eventsOf(items: readonly StreamItem[]): TaskEvent[] {
  return items.filter(isTaskEvent)
}

/** The cursor after an event. Every event of a task of record has one. */
export function cursorOf(item: StreamItem | undefined): string {
  if (item === undefined || !isTaskEvent(item) || item.cursor === undefined) throw new Error('there is no cursor here')
  return item.cursor
}
