/**
 * The outside of an SQL store: opens the database when it is first needed, and says in the errors of this library what went
 * wrong in it.
 *
 * closed → opening → open: with `open` or the first call of any method. Opening that failed is tried again by the next call.
 * ended: after `close`. Everything rejects.
 *
 * 1. No database is opened twice at a time.
 * 2. `close` resolves within a second, and then every call has its answer.
 */
import { messageOf, TaskError } from '../../errors.ts'
import type { Durability } from '../../ports/task-record.ts'
import type { DurableStore } from './durable-store.ts'
import type { FaultOf } from './fault.ts'
import { createHintBoard, type HintBoard } from './hint-board.ts'
import type { SqlDialect } from './sql-dialect.ts'
import type { SqlStore } from './sql-store.ts'

/** A hint for whoever tries again, in milliseconds. */
const RETRY_AFTER_MS = 1_000
/** How long what is on its way may take at the end, in milliseconds. */
const LAST_CALLS_MS = 500

export interface OpenedDatabase {
  readonly dialect: SqlDialect
  openStore(hints: HintBoard): Promise<SqlStore>
}

export function openingStore(parts: {
  readonly durability: Durability
  /** Loads the packages and makes the driver. Nothing is asked of the database yet. */
  readonly connect: () => Promise<OpenedDatabase>
  readonly faultOf: FaultOf
}): DurableStore {
  const hints = createHintBoard()
  const calls = new Set<Promise<unknown>>()
  let database: OpenedDatabase | undefined
  let opening: Promise<SqlStore> | undefined
  let opened: SqlStore | undefined
  let ending: Promise<void> | undefined
  let isOver = false

  const openOnce = async (): Promise<SqlStore> => {
    database ??= await parts.connect()
    if (isOver) {
      // `close` has not waited for this.
      await database.dialect.close()
      throw closedError()
    }
    opened = await database.openStore(hints)
    return opened
  }

  const whenOpen = (): Promise<SqlStore> => {
    if (opening !== undefined) return opening
    const attempt = openOnce()
    opening = attempt
    attempt.catch(() => {
      // Its caller has the error; the next call tries again.
      if (opening === attempt) opening = undefined
    })
    return attempt
  }

  const call = async <Answer>(ask: (store: SqlStore) => Promise<Answer>): Promise<Answer> => {
    if (ending !== undefined) throw closedError()
    const answer = whenOpen().then(ask)
    calls.add(answer)
    try {
      return await answer
    } catch (error) {
      throw toStoreError(error, ending !== undefined, parts.faultOf)
    } finally {
      calls.delete(answer)
    }
  }

  const end = async (): Promise<void> => {
    hints.close()
    await settledWithin([...calls], LAST_CALLS_MS)
    isOver = true
    await database?.dialect.close()
  }

  return {
    durability: parts.durability,
    get incarnation() {
      if (opened === undefined)
        throw new TaskError('store_unavailable', 'The store is not open yet: `open` makes it so.')
      return opened.incarnation
    },
    cluster: {
      join: (lease) => call(({ cluster }) => cluster.join(lease)),
      renew: (lease) => call(({ cluster }) => cluster.renew(lease)),
      leave: (leaver) => call(({ cluster }) => cluster.leave(leaver)),
      sweep: (at) => call(({ cluster }) => cluster.sweep(at)),
      forget: (node) => call(({ cluster }) => cluster.forget(node)),
      sendOrder: (order) => call(({ cluster }) => cluster.sendOrder(order)),
      readOrders: (read) => call(({ cluster }) => cluster.readOrders(read)),
      replyTo: (reply) => call(({ cluster }) => cluster.replyTo(reply)),
      readReply: (orderId) => call(({ cluster }) => cluster.readReply(orderId)),
      watch(onHint) {
        // Who calls next gets the error, and tries again.
        if (ending === undefined) whenOpen().catch(() => undefined)
        return hints.watch(onHint)
      },
    },
    open: () => call(async ({ warnings }) => warnings),
    commit: (commit) => call((store) => store.commit(commit)),
    read: (taskId) => call(({ queries }) => queries.read(taskId)),
    list: (query) => call(({ queries }) => queries.list(query)),
    count: (owner) => call(({ queries }) => queries.count(owner)),
    readEvents: (read) => call(({ queries }) => queries.readEvents(read)),
    readFeed: (read) => call(({ queries }) => queries.readFeed(read)),
    lastPosition: (owner) => call(({ queries }) => queries.lastPosition(owner)),
    claimedBy: (claim) => call(({ queries }) => queries.claimedBy(claim)),
    readAttachment: (taskId, kind) => call(({ queries }) => queries.readAttachment(taskId, kind)),
    readOutbox: (taskId) => call(({ queries }) => queries.readOutbox(taskId)),
    listDeliveries: (query) => call(({ queries }) => queries.listDeliveries(query)),
    putDelivery: (entry) => call((store) => store.putDelivery(entry)),
    prune: (limits) => call((store) => store.prune(limits)),
    close() {
      ending ??= end()
      return ending
    },
  }
}

async function settledWithin(calls: readonly Promise<unknown>[], ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeIsOver = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([Promise.allSettled(calls), timeIsOver])
  clearTimeout(timer)
}

function closedError(cause?: unknown): TaskError {
  return new TaskError('store_unavailable', 'The store is closed.', { cause })
}

/** An error that is not one of the database stays as it is: it is a mistake, and no outage. */
function toStoreError(error: unknown, isEnding: boolean, faultOf: FaultOf): unknown {
  if (error instanceof TaskError) return error
  if (isEnding) return closedError(error)
  const said = messageOf(error)
  const fault = faultOf(error)
  switch (fault) {
    case undefined:
      return error
    case 'full':
      return new TaskError('store_full', `The store has no room: ${said}`, {
        retryAfterMs: RETRY_AFTER_MS,
        cause: error,
      })
    case 'unusable':
      return new TaskError('store_unusable', `The store cannot be used: ${said}`, { cause: error })
    case 'unavailable':
    case 'conflict':
      return new TaskError('store_unavailable', `The store does not answer: ${said}`, {
        retryAfterMs: RETRY_AFTER_MS,
        cause: error,
      })
  }
}
