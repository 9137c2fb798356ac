/** Facts as the journal publishes them, for tests of the hub and of what listens to it. */
import type { FeedEntry, StoredEvent, StoredRecord, TaskEventType } from 'outlive'
import { createHub, type Hub } from '../../src/events/hub.ts'

interface Fact {
  readonly taskId?: string
  readonly owner?: string
  readonly seq?: number
  readonly type?: TaskEventType
  readonly ownerPosition?: number
  readonly position?: number
  readonly endedAt?: number
}

export function entryOf(fact: Fact = {}): FeedEntry {
  const {
    taskId = 'a',
    owner = 'ann',
    seq = 1,
    type = 'task.custom',
    ownerPosition = seq,
    position = ownerPosition,
  } = fact
  const event = {
    seq,
    type,
    at: 0,
    epoch: 1,
    data: type === 'task.custom' ? { name: `e${seq}` } : {},
  } as unknown as StoredEvent
  const record = {
    taskId,
    owner,
    tool: 'tool',
    rootId: taskId,
    depth: 0,
    ...(fact.endedAt === undefined ? {} : { endedAt: fact.endedAt }),
  } as unknown as StoredRecord
  return { event, record, ownerPosition, position }
}

export function createTestHub(parts: { readonly live?: ReadonlySet<string> } = {}): {
  readonly hub: Hub
  readonly errors: unknown[]
} {
  const errors: unknown[] = []
  const hub = createHub({
    incarnation: () => 'log',
    isLive: (taskId) => parts.live?.has(taskId) === true,
    runOutside: (work) => work(),
    reportError: (error) => void errors.push(error),
  })
  return { hub, errors }
}
