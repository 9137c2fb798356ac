/**
 * The inboxes of owners.
 *
 * What tasks have sent waits on the owner's desk. Ends and questions are not kept a second time: they are read from the
 * owner's feed, where they stand as long as their tasks are kept, so an inbox that is opened late begins with the oldest.
 *
 * 1. An owner has one inbox, whoever reads it; a message is given to one reader.
 * 2. A reader listens before it looks, so nothing can fall in between, and reads one after the other.
 * 3. What a reader has left behind, and what a callback threw on, is in the inbox again.
 * 4. A callback is called once for all that came until nothing more came for a while, and never twice at a time.
 */
import { decideWakeAt } from '../../../machines/policies/inbox.ts'
import { toDigest } from '../../delivery/model-messages.ts'
import { TaskError } from '../../errors.ts'
import type { Hub } from '../../events/hub.ts'
import { toTaskRecord } from '../../events/task-event-view.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { DigestOptions, OwnerNews } from '../../ports/inbox.ts'
import type { OwnerMessage } from '../../ports/message.ts'
import { isFinalEventType, type TaskEventData } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { FeedEntry, TaskStore } from '../../ports/task-store.ts'
import type { OwnerDesk, OwnerDesks } from './owner-desks.ts'
import { senderOf, toQuestionMessage } from './question-message.ts'
import type { Turns } from '../turns/turns.ts'
import type { Wait } from '../waits.ts'
import { waitForMessage } from './wait-for-message.ts'

const PAGE = 100
const MAX_AT_ONCE = 1_000
/** How soon the feed is looked at again when the store has failed. */
const LOOK_AGAIN_MS = 1_000

export interface OwnerInboxes {
  /** One of the two is called, once, unless the undo is called before. */
  read(owner: string, give: (message: OwnerMessage) => void, refuse: (error: Error) => void): () => void
  /** The slot of the task whose code waits, if it is one's, is lent meanwhile. */
  receive(owner: string, wait: Wait): Promise<OwnerMessage>
  drain(owner: string): Promise<readonly OwnerMessage[]>
  wake(owner: string, callback: (news: OwnerNews) => unknown, quietMs: number): () => void
  /** Something was put on the owner's desk. */
  noteNews(owner: string): void
  close(): void
}

interface Reader {
  give(message: OwnerMessage): void
  refuse(error: Error): void
}

interface Wake {
  readonly callback: (news: OwnerNews) => unknown
  readonly quietMs: number
  firstAt: number | undefined
  moment: Moment | undefined
  /** `again`: something has come since it was called. */
  state: 'quiet' | 'calling' | 'again'
}

/** An inbox that somebody reads. */
interface Attended {
  readonly desk: OwnerDesk
  readonly readers: Set<Reader>
  wake: Wake | undefined
  isLooking: boolean
  readonly stopListening: () => void
}

export function createOwnerInboxes(parts: {
  readonly store: TaskStore
  readonly hub: Hub
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly desks: OwnerDesks
  readonly turns: Pick<Turns, 'lend' | 'takeBack'>
  readonly runOutside: (work: () => void) => void
  readonly reportError: (error: unknown) => void
}): OwnerInboxes {
  const { store, hub, clock, deadlines, desks, turns } = parts
  const attended = new Map<string, Attended>()
  /** Looks at one feed follow each other. */
  const looks = new Map<string, Promise<unknown>>()
  let isClosed = false

  const inTurn = <Result>(owner: string, look: () => Promise<Result>): Promise<Result> => {
    const before = looks.get(owner)
    const result = before === undefined ? look() : before.then(look, look)
    const done = result.then(
      () => undefined,
      () => undefined,
    )
    looks.set(owner, done)
    void done.then(() => looks.get(owner) === done && looks.delete(owner))
    return result
  }

  /** Reads on in the feed until there is something for the owner. */
  const fetchNext = async (desk: OwnerDesk): Promise<void> => {
    while (desk.ahead.length === 0) {
      const page = await store.readFeed({ owner: desk.owner, after: desk.position, limit: PAGE })
      for (const entry of page.entries) {
        const message = toNews(entry, store.durability)
        if (message === undefined) continue
        desk.ahead.push(message)
        desk.position = entry.ownerPosition
        return
      }
      desk.position = page.upTo
      if (page.isLast) return
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }

  /** Takes the oldest message, once `fetchNext` has looked. */
  const takeNext = (desk: OwnerDesk): OwnerMessage | undefined => {
    const [letter] = desk.letters.items
    const [news] = desk.ahead
    const isLetterFirst = letter !== undefined && (news === undefined || letter.item.at <= news.at)
    return isLetterFirst ? desks.takeLetter(desk) : desk.ahead.shift()
  }

  const takeAll = async (desk: OwnerDesk): Promise<OwnerMessage[]> => {
    const messages: OwnerMessage[] = []
    while (messages.length < MAX_AT_ONCE) {
      await fetchNext(desk)
      const next = takeNext(desk)
      if (next === undefined) return messages
      messages.push(next)
    }
    return messages
  }

  const attend = (owner: string): Attended => {
    const known = attended.get(owner)
    if (known !== undefined) return known
    const desk = desks.require(owner)
    desk.isAttended = true
    const stopListening = hub.onOwner(owner, ({ entry, event }) => {
      if (event.ephemeral !== true && isNews(entry)) noteNews(owner)
    })
    const inbox: Attended = { desk, readers: new Set(), wake: undefined, isLooking: false, stopListening }
    attended.set(owner, inbox)
    return inbox
  }

  const leaveIfAlone = ({ desk, readers, wake, stopListening }: Attended): void => {
    if (readers.size > 0 || wake !== undefined) return
    stopListening()
    desk.isAttended = false
    attended.delete(desk.owner)
  }

  const giveOut = async (inbox: Attended): Promise<void> => {
    inbox.isLooking = false
    while (inbox.readers.size > 0) {
      await fetchNext(inbox.desk)
      const [reader] = inbox.readers
      const message = reader === undefined ? undefined : takeNext(inbox.desk)
      if (reader === undefined || message === undefined) return
      reader.give(message)
    }
  }

  /** Gives what is there to those who wait. */
  const look = (inbox: Attended): void => {
    if (inbox.readers.size === 0 || inbox.isLooking) return
    inbox.isLooking = true
    inTurn(inbox.desk.owner, () => giveOut(inbox)).catch((error: unknown) => {
      parts.reportError(error)
      deadlines.after(LOOK_AGAIN_MS, look, inbox)
    })
  }

  const callSoon = (inbox: Attended, wake: Wake): void => {
    if (wake.state !== 'quiet') {
      wake.state = 'again'
      return
    }
    const nowMs = clock.monotonicMs()
    wake.firstAt ??= nowMs
    wake.moment?.disarm()
    const at = decideWakeAt({ firstAt: wake.firstAt, lastAt: nowMs, quietMs: wake.quietMs })
    wake.moment = deadlines.after(Math.max(0, at - nowMs), () => startCall(inbox, wake), undefined)
  }

  const startCall = (inbox: Attended, wake: Wake): void => {
    wake.moment = undefined
    wake.firstAt = undefined
    wake.state = 'calling'
    parts.runOutside(() => void call(inbox, wake))
  }

  /** Rejects never: what goes wrong is reported. */
  const call = async (inbox: Attended, wake: Wake): Promise<void> => {
    const { desk } = inbox
    let messages: OwnerMessage[] = []
    try {
      messages = await inTurn(desk.owner, () => takeAll(desk))
      if (inbox.wake !== wake) desk.ahead.unshift(...messages)
      else if (messages.length > 0) await wake.callback(toOwnerNews(messages))
    } catch (error) {
      desk.ahead.unshift(...messages)
      parts.reportError(error)
    }
    // Another may have taken its place meanwhile, and has to hear of what was left.
    const { wake: current } = inbox
    if (current === undefined) return
    const hasMore = wake.state === 'again' || messages.length === MAX_AT_ONCE || current !== wake
    wake.state = 'quiet'
    if (hasMore) callSoon(inbox, current)
  }

  const noteNews = (owner: string): void => {
    const inbox = attended.get(owner)
    if (inbox === undefined) return
    look(inbox)
    if (inbox.wake !== undefined) callSoon(inbox, inbox.wake)
  }

  const read: OwnerInboxes['read'] = (owner, give, refuse) => {
    const inbox = attend(owner)
    const leave = (): void => {
      if (inbox.readers.delete(reader)) leaveIfAlone(inbox)
    }
    const reader: Reader = {
      give(message) {
        leave()
        give(message)
      },
      refuse(error) {
        leave()
        refuse(error)
      },
    }
    inbox.readers.add(reader)
    if (isClosed) reader.refuse(closedError())
    else look(inbox)
    return leave
  }

  return {
    read,

    async receive(owner, { waiter, ...limits }) {
      limits.signal?.throwIfAborted()
      const lent = waiter && turns.lend(waiter)
      try {
        return await waitForMessage(deadlines, limits, (give, refuse) => read(owner, give, refuse))
      } finally {
        if (waiter !== undefined) turns.takeBack(waiter, lent)
      }
    },

    drain: (owner) => inTurn(owner, () => takeAll(desks.require(owner))),

    wake(owner, callback, quietMs) {
      const inbox = attend(owner)
      inbox.wake?.moment?.disarm()
      const wake: Wake = { callback, quietMs, firstAt: undefined, moment: undefined, state: 'quiet' }
      inbox.wake = wake
      callSoon(inbox, wake)
      return () => {
        wake.moment?.disarm()
        if (inbox.wake !== wake) return
        inbox.wake = undefined
        leaveIfAlone(inbox)
      }
    },

    noteNews,

    close() {
      isClosed = true
      for (const inbox of attended.values()) {
        inbox.wake = undefined
        for (const reader of inbox.readers) reader.refuse(closedError())
        leaveIfAlone(inbox)
      }
    },
  }
}

function closedError(): TaskError {
  return new TaskError('supervisor_closed', 'The supervisor has stopped.')
}

function toOwnerNews(messages: readonly OwnerMessage[]): OwnerNews {
  return Object.freeze({
    messages: Object.freeze(messages),
    digest: (options?: DigestOptions) => toDigest(messages, options),
  })
}

/** The owner hears of tasks that nobody else waits for: his own, and those that went on alone. */
function isOwners({ parentId, caller, policy }: StoredRecord): boolean {
  return caller === 'detached' && (parentId === undefined || policy.onParentEnd === 'detach')
}

function isNews({ event, record }: FeedEntry): boolean {
  if (event.type === 'task.asked') return (event.data as TaskEventData['task.asked']).to === undefined
  return isFinalEventType(event.type) && isOwners(record)
}

function toNews(entry: FeedEntry, durability: TaskStore['durability']): OwnerMessage | undefined {
  if (!isNews(entry)) return undefined
  const { event, record } = entry
  const from = senderOf(record.taskId, record.name)
  if (event.type === 'task.asked') {
    const { key: askedKey } = event.data as TaskEventData['task.asked']
    const open = record.questions?.find(({ key }) => key === askedKey)
    return open && toQuestionMessage(from, open)
  }
  const hasValue = record.status === 'completed' && record.resultJson !== undefined
  const value = hasValue ? { value: JSON.parse(record.resultJson) as unknown } : {}
  const payload = Object.freeze({ record: toTaskRecord(record, durability), ...value })
  return Object.freeze({ kind: 'end', messageId: `end:${record.taskId}`, from, at: event.at, payload })
}
