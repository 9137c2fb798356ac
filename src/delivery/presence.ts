/**
 * What people see while a task runs: that it has started, that it is under way, and what it asks.
 *
 * 1. It follows what is kept of the task: shown from the moment somebody has a ticket and the code runs, gone when the task
 *    ends, has another target, or waits for an answer.
 * 2. One start notice for a task and a target, and one notice for a question, however often the task or its process starts
 *    again. What is answered before it was told is not told.
 * 3. Nothing of it holds up the task or its result. A place that fails is left alone.
 */
import { isFinalStatus } from '../../machines/vocabulary.ts'
import type { Channel, ChannelPresence } from '../ports/channel.ts'
import type { Deadlines, Moment } from '../ports/deadlines.ts'
import type { OutboxEntry } from '../ports/delivery.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { TaskStore } from '../ports/task-store.ts'
import type { Deliveries, Told } from './deliveries.ts'
import type { Delivery } from './delivery.ts'
import { parseTarget } from './targets.ts'

/** A sign that could not be shown so often in a row is not shown any more. */
const MAX_FAILURES = 3

export interface Presence {
  /** Whether there is anything to show anywhere. */
  readonly isNeeded: boolean
  /** Something of the task was kept. */
  note(record: StoredRecord): void
  stop(): void
}

/** One task at one target. */
interface Showing {
  readonly sign: Sign | undefined
  start: Telling | undefined
  /** By their keys. */
  readonly questions: Map<string, Telling>
  /** One thing is told after the other. */
  told: Promise<void>
}

/** Something that is told as long as it is true. */
interface Telling {
  /** It need not be told any more, or has to be taken away. */
  end(): void
}

/** Something that goes away by itself, and is shown again and again. */
interface Sign {
  setShown(isShown: boolean): void
}

export function createPresence(parts: {
  readonly channels: ReadonlyMap<string, Channel>
  readonly deliveries: Pick<Deliveries, 'tell' | 'adopt' | 'caller'>
  readonly store: Pick<TaskStore, 'readOutbox'>
  readonly deadlines: Deadlines
  /** Whether starts are told: `undefined` where people read along. */
  readonly tellsStarts: boolean | undefined
  readonly showsTyping: boolean
  readonly runOutside: (work: () => void) => void
  readonly onError: (error: unknown, taskId: string) => void
}): Presence {
  const { channels, deliveries, store, deadlines } = parts
  const byTask = new Map<string, Map<string, Showing>>()
  let isStopped = false

  const channelOf = (target: string): Channel | undefined => channels.get(parseTarget(target).channel)

  const tellsStartAt = (target: string): boolean => parts.tellsStarts ?? channelOf(target)?.presence !== undefined

  /** Where something of the task is to be seen now. */
  const wantedBy = (record: StoredRecord): readonly string[] => {
    const isUnderWay = !isFinalStatus(record.status) && record.caller === 'detached' && record.startedAt !== undefined
    if (!isUnderWay) return []
    return record.targets.filter((target) => tellsStartAt(target) || channelOf(target)?.presence !== undefined)
  }

  const createSign = (target: string, { everyMs, show }: Extract<ChannelPresence, { kind: 'typing' }>): Sign => {
    let next: Moment | undefined
    let isShown = false
    let failures = 0

    const refresh = async (): Promise<void> => {
      try {
        await deliveries.caller.ask(parseTarget(target), show)
        failures = 0
      } catch {
        failures += 1
      }
      if (isShown && failures < MAX_FAILURES && !isStopped) {
        next = deadlines.idleAfter(everyMs, () => void refresh(), undefined)
      }
    }

    return {
      setShown(wanted) {
        if (wanted === isShown) return
        isShown = wanted
        next?.disarm()
        if (wanted) parts.runOutside(() => void refresh())
      },
    }
  }

  const begin = (record: StoredRecord, target: string): Showing => {
    const presence = channelOf(target)?.presence
    const sign = presence?.kind === 'typing' && parts.showsTyping ? createSign(target, presence) : undefined
    const showing: Showing = { sign, start: undefined, questions: new Map(), told: Promise.resolve() }
    if (tellsStartAt(target)) showing.start = tell(record, target, showing, { kind: 'start' })
    return showing
  }

  const tell = (record: StoredRecord, target: string, showing: Showing, told: Told): Telling => {
    let delivery: Delivery | undefined
    let isOver = false
    const begun = async (): Promise<void> => {
      try {
        const known = (await store.readOutbox(record.taskId)).find((entry) => isAbout(entry, target, told))
        if (isOver || (known !== undefined && known.state !== 'pending')) return
        // The process that told it is gone, and what it shows is this one's to take away.
        delivery = await (known === undefined ? deliveries.tell(record, target, told) : deliveries.adopt(known))
        if (isOver) delivery?.withdraw()
      } catch (error) {
        parts.onError(error, record.taskId)
      }
    }
    parts.runOutside(() => void (showing.told = showing.told.then(begun)))
    return {
      end() {
        isOver = true
        delivery?.withdraw()
      },
    }
  }

  const tellQuestions = (record: StoredRecord, target: string, showing: Showing): void => {
    const { questions: told } = showing
    const open = new Set((record.questions ?? []).map(({ key }) => key))
    for (const [key, telling] of told) {
      if (open.has(key)) continue
      telling.end()
      told.delete(key)
    }
    for (const question of open) {
      if (!told.has(question)) told.set(question, tell(record, target, showing, { kind: 'question', question }))
    }
  }

  const end = ({ sign, start, questions }: Showing): void => {
    sign?.setShown(false)
    start?.end()
    for (const question of questions.values()) question.end()
  }

  const note: Presence['note'] = (record) => {
    if (isStopped) return
    const wanted = wantedBy(record)
    const shown = byTask.get(record.taskId) ?? new Map<string, Showing>()
    if (wanted.length === 0 && shown.size === 0) return
    for (const [target, showing] of shown) {
      if (wanted.includes(target)) continue
      end(showing)
      shown.delete(target)
    }
    for (const target of wanted) {
      const showing = shown.get(target) ?? begin(record, target)
      shown.set(target, showing)
      showing.sign?.setShown(record.status === 'running' || record.status === 'finishing')
      if (channelOf(target)?.presence !== undefined) tellQuestions(record, target, showing)
    }
    if (shown.size === 0) byTask.delete(record.taskId)
    else byTask.set(record.taskId, shown)
  }

  return {
    isNeeded: parts.tellsStarts === true || [...channels.values()].some(({ presence }) => presence !== undefined),
    note,

    stop() {
      isStopped = true
      for (const showings of byTask.values()) for (const { sign } of showings.values()) sign?.setShown(false)
      byTask.clear()
    },
  }
}

function isAbout(entry: OutboxEntry, target: string, told: Told): boolean {
  if (entry.target !== target || entry.kind !== told.kind) return false
  return told.kind === 'start' || entry.question === told.question
}
