/**
 * The rules of a history. A history is what everybody who had to do with some tasks was told: the store, callers, consumers
 * of streams, receivers of results, strangers. Where the laws of a log judge one log, these compare what was told to one
 * with what was told to another.
 *
 * 1. A task has one end: the store keeps one terminal event, and whoever sees one sees that one.
 * 2. A consumer sees what the store has, from where it begins, in that order, without a hole or a double, across resumes.
 * 3. A task whose start was acknowledged is kept.
 * 4. A final status does not change: what a caller was told of an end is what is kept, the value too.
 * 5. To another owner a task is not there, by any verb.
 * 6. A result that has to reach a target is delivered or given up in the end. Delivered means that the target took all of it. Nothing else is sent, and nothing before the store has it.
 * 7. What is sent under one id is the same each time, to the same target.
 * 8. Once nothing goes wrong any more, every task ends within its time.
 * 9. The counts are those of the tasks that are kept.
 * 10. Once all tasks have ended, as many run at the same time as may: none that has ended holds a slot.
 */
import { isFinalStatus, type TaskStatus } from '../../machines/vocabulary.ts'
import { isFinalEventType, isTaskEvent, type StreamItem, type TaskEvent } from '../ports/task-event.ts'

/** Something that somebody was told. */
export type HistoryFact =
  /** The store has it. In the order of the store. */
  | { readonly type: 'committed'; readonly event: TaskEvent }
  /** A caller was told that a task has started. */
  | { readonly type: 'acknowledged'; readonly taskId: string; readonly owner: string }
  /** A caller was told the status of a task; `value`: the result, as JSON. */
  | { readonly type: 'told'; readonly taskId: string; readonly status: TaskStatus; readonly value?: string }
  /** A consumer of all events of an owner has read one. A resumed consumer keeps its name. */
  | { readonly type: 'seen'; readonly consumer: string; readonly owner: string; readonly item: StreamItem }
  /** Somebody has tried a verb on a task of somebody else. */
  | { readonly type: 'peeked'; readonly taskId: string; readonly verb: string; readonly found: boolean }
  /** A target was sent something, and has taken it or not. */
  | {
      readonly type: 'sent'
      readonly deliveryId: string
      /** Which of how many messages it was. @defaultValue the only one */
      readonly part?: number
      readonly parts?: number
      readonly target: string
      readonly body: string
      readonly isAccepted: boolean
      /** Whether the store has the delivery by then. @defaultValue nobody has looked */
      readonly isKept?: boolean
    }
  /** A tool has had an effect on the world: a card was charged, a mail was sent. The rules below say nothing about it. */
  | { readonly type: 'effect'; readonly process: string; readonly name: string; readonly data?: unknown }
  /** Nothing has gone wrong for as long as everything may take, and the task has not ended. */
  | { readonly type: 'stuck'; readonly taskId: string; readonly status: TaskStatus }
  /** In the end: what became of a delivery. */
  | {
      readonly type: 'delivery'
      readonly deliveryId: string
      readonly taskId: string
      readonly state: 'owed' | 'delivered' | 'givenUp'
    }
  /** All have ended. So many calls were made of a process at the same time, as many as may run, and so many have begun. */
  | {
      readonly type: 'tried'
      readonly process: string
      readonly owner: string
      readonly calls: number
      readonly begun: number
    }
  /** In the end: a task that is kept. */
  | { readonly type: 'kept'; readonly taskId: string; readonly status: TaskStatus; readonly value?: string }
  /** In the end: how many tasks of each status there are said to be. */
  | { readonly type: 'counted'; readonly byStatus: Readonly<Partial<Record<TaskStatus, number>>> }

export interface HistoryBreach {
  /** The number of the rule, as in the list of this file. */
  readonly rule: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10
  readonly taskId?: string
  readonly message: string
}

/** Checks a history while it grows. */
export interface HistoryChecker {
  /** The next fact. Gives the rules that it breaks. */
  see(fact: HistoryFact): readonly HistoryBreach[]
  /** Nothing more comes. Gives the rules that the whole breaks. Without a fact of the end, only what needs none. */
  end(): readonly HistoryBreach[]
}

type Kept = Extract<HistoryFact, { type: 'kept' }>

/** Every breach of a rule. An empty answer means that the history is sound. */
export function checkHistory(facts: readonly HistoryFact[]): HistoryBreach[] {
  const checker = createHistoryChecker()
  return [...facts.flatMap((fact) => checker.see(fact)), ...checker.end()]
}

/** Checks a history fact by fact. */
export function createHistoryChecker(): HistoryChecker {
  let breaches: HistoryBreach[] = []
  const ends = new Map<string, string>()
  const committed = new Map<string, string[]>()
  const seen = new Map<string, { readonly owner: string; readonly items: StreamItem[] }>()
  const acknowledged = new Set<string>()
  const told = new Map<string, { readonly status: TaskStatus; readonly value: string | undefined }>()
  const bodies = new Map<string, string>()
  const sentIds = new Set<string>()
  /** The numbers of the parts that were taken, and how many there are. */
  const accepted = new Map<string, { readonly taken: Set<number>; readonly parts: number }>()
  const kept = new Map<string, Kept>()
  const deliveries: Extract<HistoryFact, { type: 'delivery' }>[] = []
  let counted: Readonly<Partial<Record<TaskStatus, number>>> | undefined

  const report = (rule: HistoryBreach['rule'], taskId: string | undefined, message: string): void => {
    breaches.push({ rule, message, ...(taskId === undefined ? {} : { taskId }) })
  }

  const checkEnd = (event: TaskEvent, isTheStore: boolean): void => {
    if (!isFinalEventType(event.type)) return
    const end = `${event.type} as number ${event.seq}`
    const known = ends.get(event.taskId)
    if (known !== undefined && (isTheStore || known !== end)) report(1, event.taskId, `${end}, and ${known}`)
    ends.set(event.taskId, known ?? end)
  }

  const take = (fact: HistoryFact): void => {
    switch (fact.type) {
      case 'committed': {
        checkEnd(fact.event, true)
        push(committed, fact.event.owner, placeOf(fact.event))
        break
      }
      case 'acknowledged':
        acknowledged.add(fact.taskId)
        break
      case 'told': {
        const before = told.get(fact.taskId)
        if (before !== undefined && !agrees(before, fact)) report(4, fact.taskId, difference(before, fact))
        if (before === undefined && isFinalStatus(fact.status)) {
          told.set(fact.taskId, { status: fact.status, value: fact.value })
        }
        break
      }
      case 'seen': {
        const consumer = seen.get(fact.consumer) ?? { owner: fact.owner, items: [] }
        seen.set(fact.consumer, consumer)
        consumer.items.push(fact.item)
        break
      }
      case 'peeked':
        if (fact.found) report(5, fact.taskId, `another owner has found it by ${fact.verb}`)
        break
      case 'sent': {
        const { deliveryId, part = 1, parts = 1 } = fact
        const body = `${fact.target} ${fact.body}`
        const id = `${deliveryId} ${part}`
        const known = bodies.get(id)
        if (known !== undefined && known !== body) {
          report(7, undefined, `${deliveryId} was sent as ${known}, and as ${body}`)
        }
        bodies.set(id, body)
        sentIds.add(deliveryId)
        if (fact.isKept === false) report(6, undefined, `${deliveryId} was sent before the store had it`)
        if (!fact.isAccepted) break
        const { taken } = accepted.get(deliveryId) ?? { taken: new Set<number>() }
        accepted.set(deliveryId, { taken: taken.add(part), parts })
        break
      }
      case 'effect':
        break
      case 'stuck':
        report(8, fact.taskId, `it is still ${fact.status}`)
        break
      case 'delivery':
        deliveries.push(fact)
        break
      case 'tried':
        if (fact.begun < fact.calls) {
          report(10, undefined, `of ${fact.calls} calls by ${fact.owner} on ${fact.process} ${fact.begun} have begun`)
        }
        break
      case 'kept':
        kept.set(fact.taskId, fact)
        break
      case 'counted':
        counted = fact.byStatus
        break
    }
  }

  const checkSlice = (consumer: string, owner: string, items: readonly StreamItem[]): void => {
    const events = items.filter(isTaskEvent)
    for (const event of events) checkEnd(event, false)
    // What an ephemeral call says is handed on at once, and need not come again when it is promoted.
    const early = new Set<string | undefined>(events.filter(isEphemeral).map(placeOf))
    const all = committed.get(owner) ?? []
    let next: number | undefined
    for (const item of items) {
      if (item.type === 'stream.gap' || item.type === 'stream.reset') next = undefined
      if (!isTaskEvent(item) || isEphemeral(item)) continue
      const place = placeOf(item)
      next ??= all.indexOf(place)
      while (all[next] !== place && early.has(all[next])) next += 1
      if (all[next] !== place) {
        report(2, item.taskId, `${consumer} has read ${place} where the store has ${all[next] ?? 'nothing'}`)
        return
      }
      next += 1
    }
  }

  const checkKept = ({ taskId, status, value }: Kept): void => {
    const said = told.get(taskId)
    if (said !== undefined && !agrees(said, { status, value })) report(4, taskId, difference(said, { status, value }))
    if (!isFinalStatus(status)) report(8, taskId, `it is still ${status}`)
  }

  const checkCounts = (): void => {
    const counts: Partial<Record<TaskStatus, number>> = {}
    for (const { status } of kept.values()) counts[status] = (counts[status] ?? 0) + 1
    for (const status of new Set([...Object.keys(counts), ...Object.keys(counted ?? {})]) as Set<TaskStatus>) {
      const [found, said] = [counts[status] ?? 0, counted?.[status] ?? 0]
      if (found !== said) report(9, undefined, `${said} tasks are said to be ${status}, and ${found} are`)
    }
  }

  const taken = (): readonly HistoryBreach[] => {
    const found = breaches
    if (found.length > 0) breaches = []
    return found
  }

  return {
    see(fact) {
      take(fact)
      return breaches.length === 0 ? NONE : taken()
    },
    end() {
      for (const [consumer, { owner, items }] of seen) checkSlice(consumer, owner, items)
      for (const { deliveryId, taskId, state } of deliveries) {
        if (state === 'owed') report(6, taskId, `${deliveryId} is still owed`)
        const { taken, parts } = accepted.get(deliveryId) ?? NOTHING_TAKEN
        if (state === 'delivered' && taken.size !== parts) {
          const how = taken.size === 0 ? 'nobody has taken it' : `${taken.size} of ${parts} parts were taken`
          report(6, taskId, `${deliveryId} is said to be delivered, and ${how}`)
        }
      }
      if (counted === undefined) return taken()
      const asked = new Set(deliveries.map(({ deliveryId }) => deliveryId))
      for (const deliveryId of sentIds)
        if (!asked.has(deliveryId)) report(6, undefined, `${deliveryId} was sent, and nobody owed it`)
      for (const taskId of acknowledged)
        if (!kept.has(taskId)) report(3, taskId, 'its start was acknowledged, and it is not kept')
      for (const record of kept.values()) checkKept(record)
      checkCounts()
      return taken()
    },
  }
}

const NONE: readonly never[] = []
const NOTHING_TAKEN = { taken: new Set<number>(), parts: 1 }

interface Outcome {
  readonly status: TaskStatus
  readonly value?: string | undefined
}

/** One that was told without a value says nothing about it. */
function agrees(before: Outcome, after: Outcome): boolean {
  if (before.status !== after.status) return false
  return before.value === undefined || after.value === undefined || before.value === after.value
}

function difference(before: Outcome, after: Outcome): string {
  return `it was told to be ${before.status} ${before.value ?? ''}, and is ${after.status} ${after.value ?? ''}`
}

function isEphemeral(event: TaskEvent): boolean {
  return event.ephemeral === true
}

function placeOf({ taskId, seq }: TaskEvent): string {
  return `${taskId}:${seq}`
}

function push<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
