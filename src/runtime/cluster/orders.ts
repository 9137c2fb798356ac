/**
 * Orders to tasks that run in other processes, and orders from there to tasks that run here.
 *
 * sent: the order lies in the store, for the node that runs the task.
 * answered: that node did what was asked, or says why not.
 * gone: the task is not there any more. It has ended, or another node runs it: then the order goes there, with its id.
 *
 * 1. A node does what an order asks once, and only to a task of the order's owner.
 * 2. Hints make it fast. Without them every side looks every `RECONCILE_MS`.
 * 3. Whoever sent an order is answered, also when the node dies: by whoever takes the task over, or by its end.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { TaskError, TaskNotFoundError } from '../../errors.ts'
import { RECONCILE_MS } from '../../events/news.ts'
import type { ClusterStore, Order } from '../../ports/cluster-store.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines, Moment } from '../../ports/deadlines.ts'
import type { IdSource } from '../../ports/id-source.ts'
import type { Logger } from '../../ports/logger.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import { pause } from '../../within.ts'
import type { Counters } from '../counters.ts'
import type { LiveTask } from '../live-task.ts'
import { createRecentKeys } from '../recent-keys.ts'
import type { TaskOrder } from './task-order.ts'
import { fromReplyJson, toReplyJson, type OrderReply } from './order-reply.ts'

/** What came of an order. `ended`: the task was final before anybody could do it. */
export type OrderOutcome =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'ended'; readonly record: StoredRecord }

export interface Orders {
  /** Resolves when the order is done. @throws what the verb throws where the task runs, `task_unreachable` */
  send(record: StoredRecord, order: TaskOrder): Promise<OrderOutcome>
  /** Whether another node runs the task. */
  isElsewhere(record: StoredRecord): boolean
  /** Begins to do what others ask. */
  start(): void
  stop(): void
}

const ORDERS_PER_READ = 100
/** More than can be read by a look that began before they were answered. */
const MAX_ANSWERED = 10_000
/** How long an order waits that did not find its task, at first; twice as long each time. */
const GONE_PAUSE_MS = 50
/** Longer than it takes to find a node dead and to take its tasks over, with the default lease. */
const SEND_LIMIT_MS = 60_000

export function createOrders(parts: {
  readonly store: TaskStore
  readonly cluster: ClusterStore
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly createId: IdSource
  readonly logger: Logger
  readonly counters: Counters
  readonly nodeId: () => string
  readonly findLive: (taskId: string) => LiveTask | undefined
  readonly carryOut: (task: LiveTask, order: TaskOrder) => Promise<unknown>
}): Orders {
  const { store, cluster, clock, deadlines, counters, logger, nodeId } = parts
  /** Replies that are not in the store yet, by the ids of their orders; empty while the order is being done. */
  const underWay = new Map<string, string | undefined>()
  /** A look that was under way meanwhile, or a read of an older state, shows them again. */
  const answered = createRecentKeys(MAX_ANSWERED)
  const waiting = new Set<() => void>()
  let next: Moment | undefined
  let stopWatching: (() => void) | undefined
  let isReading = false
  let mustReadAgain = false
  let isFailing = false

  const perform = async (order: Order): Promise<OrderReply> => {
    const task = parts.findLive(order.taskId)
    if (task === undefined || task.spec.owner !== order.owner || task.finalStatus !== undefined) return { kind: 'gone' }
    try {
      return { kind: 'done', value: await parts.carryOut(task, JSON.parse(order.json) as TaskOrder) }
    } catch (error) {
      return { kind: 'refused', error }
    }
  }

  const reply = async (orderId: string, json: string): Promise<void> => {
    underWay.set(orderId, json)
    await cluster.replyTo({ orderId, json })
    answered.add(orderId)
    underWay.delete(orderId)
  }

  const take = async (order: Order): Promise<void> => {
    if (answered.has(order.id)) return
    if (underWay.has(order.id)) {
      const json = underWay.get(order.id)
      if (json !== undefined) await reply(order.id, json)
      return
    }
    underWay.set(order.id, undefined)
    counters.ordersTaken += 1
    await reply(order.id, toReplyJson(await perform(order)))
  }

  const noteError = (error: unknown): void => {
    counters.storeErrors += 1
    if (!isFailing) logger.error({ error }, 'orders of other processes could not be read or answered; trying again')
    isFailing = true
  }

  const read = async (): Promise<void> => {
    if (isReading) {
      mustReadAgain = true
      return
    }
    isReading = true
    mustReadAgain = false
    try {
      const orders = await cluster.readOrders({ node: nodeId(), limit: ORDERS_PER_READ })
      isFailing = false
      for (const order of orders) take(order).catch(noteError)
    } catch (error) {
      noteError(error)
    }
    isReading = false
    if (mustReadAgain && stopWatching !== undefined) void read()
  }

  const look = (): void => {
    void read()
    for (const wake of Array.from(waiting)) wake()
  }

  const lookAndPlan = (): void => {
    look()
    plan()
  }

  const plan = (): void => {
    next = deadlines.idleAfter(RECONCILE_MS, lookAndPlan, undefined)
  }

  /** Resolves with the next hint for this node, or a little later than it would have come. Listens from now on. */
  const someNews = (): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        waiting.delete(wake)
        patience.disarm()
        resolve()
      }
      const patience = deadlines.after(RECONCILE_MS, wake, undefined)
      waiting.add(wake)
    })

  const requireRecord = async ({ taskId, owner }: StoredRecord): Promise<StoredRecord> => {
    const record = await store.read(taskId)
    if (record === undefined || record.owner !== owner) throw new TaskNotFoundError()
    return record
  }

  const sendOnce = async (
    record: StoredRecord,
    order: TaskOrder,
    giveUpAtMs: number,
  ): Promise<OrderOutcome | undefined> => {
    const { node = '', owner, taskId } = record
    const id = parts.createId()
    const sent = { id, from: nodeId(), owner, taskId, json: JSON.stringify(order), sentAt: clock.now() }
    await cluster.sendOrder({ node, ...sent })
    let current = record
    let endedAtMs = Infinity
    while (clock.monotonicMs() < giveUpAtMs) {
      // Before the look: what comes in between is not missed.
      const news = someNews()
      const json = await cluster.readReply(id)
      if (json !== undefined) {
        const answer = fromReplyJson(json, taskId)
        if (answer.kind === 'refused') throw answer.error
        if (answer.kind === 'done') return answer
        return undefined
      }
      await news
      const now = await requireRecord(record)
      if (isFinalStatus(now.status)) {
        // If it ended by this very order, the reply is on its way.
        endedAtMs = Math.min(endedAtMs, clock.monotonicMs())
        if (clock.monotonicMs() - endedAtMs >= RECONCILE_MS) return { kind: 'ended', record: now }
      } else if (now.node !== current.node) await cluster.sendOrder({ node: now.node ?? '', ...sent })
      current = now
    }
    return undefined
  }

  return {
    isElsewhere: ({ node }) => node !== nodeId(),

    async send(record, order) {
      const giveUpAtMs = clock.monotonicMs() + SEND_LIMIT_MS
      let current = record
      for (
        let pauseMs = GONE_PAUSE_MS;
        clock.monotonicMs() < giveUpAtMs;
        pauseMs = Math.min(2 * pauseMs, RECONCILE_MS)
      ) {
        if (isFinalStatus(current.status)) return { kind: 'ended', record: current }
        const outcome = await sendOnce(current, order, giveUpAtMs)
        if (outcome !== undefined) return outcome
        // It was not there any more: a while later its record says where it is. A hint would not tell: the reply to another one who
        // asks for the same task is one, and both would ask again and again.
        current = await requireRecord(record)
        if (!isFinalStatus(current.status)) await pause(deadlines, pauseMs)
        current = await requireRecord(record)
      }
      throw new TaskError('task_unreachable', 'The process that runs the task does not answer.', {
        taskId: record.taskId,
      })
    },

    start() {
      stopWatching = cluster.watch(({ node, owner }) => {
        if (node === nodeId() || (node === undefined && owner === undefined)) look()
      })
      plan()
    },

    stop() {
      stopWatching?.()
      stopWatching = undefined
      next?.disarm()
    },
  }
}
