/** What a soak has to show once everything has come to rest: every law and every rule, and nothing that is owed. */
import type { AuditPage, SupervisorStats } from 'outlive'
import { redisStore } from 'outlive/redis'
import { checkHistory, verifyLog, type HistoryFact } from 'outlive/testing'
import { isFinalStatus, type TaskStatus } from '../../machines/vocabulary.ts'
import { toEventView } from '../../src/events/task-event-view.ts'
import { isTaskEvent, type TaskEvent } from '../../src/ports/task-event.ts'
import type { StoredRecord } from '../../src/ports/task-record.ts'
import { OWNERS, type SoakWorld } from './world.ts'

export interface Findings {
  /** Each breach as a line. None: all is sound. */
  readonly breaches: readonly string[]
  readonly tasks: number
  readonly events: number
  readonly facts: number
  readonly byStatus: Readonly<Partial<Record<TaskStatus, number>>>
  readonly deliveries: AuditPage['counts']
  /** How long everything took to end after the last call, in milliseconds. */
  readonly restedAfterMs: number
}

const PAGE = 1_000
const AT_ONCE = 100
const ASK_MS = 60_000
const LOOK_EVERY_MS = 500
const READ_UP_MS = 15_000

/** Waits for the end of everything, `restMs` at most, and checks. */
export async function checkAtRest(world: SoakWorld, restMs: number): Promise<Findings> {
  const restedAfterMs = await rest(world, restMs)
  const { counts, breaches: audited } = await audit(world)
  const stats = (await world.ask(0, 'stats', {}, ASK_MS)) as SupervisorStats
  const { records, events, facts: kept } = await readStore(world)
  const missed = await readUp(world.facts, events)
  const facts: HistoryFact[] = [
    ...events.map((event): HistoryFact => ({ type: 'committed', event })),
    ...world.facts,
    ...kept,
    { type: 'counted', byStatus: stats.byStatus },
  ]
  // Commits of different tasks have no order while some of them fail.
  const laws = OWNERS.flatMap((owner) =>
    verifyLog(
      events.filter((event) => event.owner === owner),
      { isReordered: true },
    ),
  )
  return {
    breaches: [
      ...laws.map(({ law, taskId, message }) => `log law ${law}: ${taskId}: ${message}`),
      ...checkHistory(facts).map(({ rule, taskId = '', message }) => `history rule ${rule}: ${taskId}: ${message}`),
      ...audited,
      ...missed.map((place) => `consumers: nobody has read ${place}`),
    ],
    tasks: records.length,
    events: events.length,
    facts: facts.length,
    byStatus: stats.byStatus,
    deliveries: counts,
    restedAfterMs,
  }
}

/** Until no task lives and no result is owed; what still is then is a breach by itself. */
async function rest(world: SoakWorld, restMs: number): Promise<number> {
  const startedMs = performance.now()
  const passedMs = (): number => Math.round(performance.now() - startedMs)
  while (passedMs() < restMs) {
    try {
      const { live } = (await world.ask(0, 'stats', {}, ASK_MS)) as SupervisorStats
      if (live === 0 && (await audit(world)).counts.pending === 0) break
    } catch {
      // It may still be on its way back.
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
  return passedMs()
}

async function audit(world: SoakWorld): Promise<{ readonly counts: AuditPage['counts']; readonly breaches: string[] }> {
  const counts = { pending: 0, delivered: 0, deadLettered: 0, withdrawn: 0 }
  const breaches: string[] = []
  for (let after: string | undefined, isLast = false; !isLast;) {
    const page = (await world.ask(0, 'audit', after === undefined ? {} : { after }, ASK_MS)) as AuditPage
    for (const state of Object.keys(counts) as (keyof typeof counts)[]) counts[state] += page.counts[state]
    for (const { taskId, target } of page.missing) breaches.push(`audit: ${taskId}: nothing for ${target}`)
    for (const { taskId, target } of page.stray) breaches.push(`audit: ${taskId}: ${target} is a stray`)
    after = page.next
    isLast = after === undefined
  }
  return { counts, breaches }
}

/** Consumers that read all the time have to have read it all in the end. Gives what they have not. */
async function readUp(facts: readonly HistoryFact[], events: readonly TaskEvent[]): Promise<readonly string[]> {
  const startedMs = performance.now()
  for (;;) {
    const seen = new Set(
      facts.flatMap((fact) => (fact.type === 'seen' && isTaskEvent(fact.item) ? [placeOf(fact.item)] : [])),
    )
    const missed = events.map(placeOf).filter((place) => !seen.has(place))
    if (missed.length === 0 || performance.now() - startedMs > READ_UP_MS) return missed
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

const placeOf = ({ taskId, seq }: TaskEvent): string => `${taskId}:${seq}`

async function readStore({ redisUrl }: SoakWorld): Promise<{
  readonly records: readonly StoredRecord[]
  readonly events: readonly TaskEvent[]
  readonly facts: readonly HistoryFact[]
}> {
  const store = redisStore(redisUrl)
  await store.open?.()
  try {
    const events: TaskEvent[] = []
    for (let after = 0, isLast = false; !isLast;) {
      const page = await store.readFeed({ after, limit: PAGE })
      for (const entry of page.entries) {
        const event = toEventView(entry, String(entry.position))
        if (isTaskEvent(event)) events.push(event)
      }
      after = page.upTo
      isLast = page.isLast
    }
    const records: StoredRecord[] = []
    for (let after: number | undefined, isLast = false; !isLast;) {
      const page = await store.list({ limit: PAGE, ...(after === undefined ? {} : { after }) })
      records.push(...page.records)
      after = page.next
      isLast = after === undefined
    }
    const facts: HistoryFact[] = []
    for (let from = 0; from < records.length; from += AT_ONCE) {
      const some = records.slice(from, from + AT_ONCE)
      const outboxes = await Promise.all(some.map(({ taskId }) => store.readOutbox(taskId)))
      for (const [index, { taskId, status, resultJson }] of some.entries()) {
        if (!isFinalStatus(status)) facts.push({ type: 'stuck', taskId, status })
        facts.push({ type: 'kept', taskId, status, ...(resultJson === undefined ? {} : { value: resultJson }) })
        for (const { deliveryId, state, settledAt } of outboxes[index] ?? []) {
          const became = state === 'delivered' ? state : settledAt === undefined ? 'owed' : 'givenUp'
          facts.push({ type: 'delivery', deliveryId, taskId, state: became })
        }
      }
    }
    return { records, events, facts }
  } finally {
    await store.close()
  }
}
