/** What a plan is carried out on: processes over one store, one time, and a note of what everybody is told. */
import { memoryStore } from '../../adapters/memory/memory-store.ts'
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { toEventView } from '../../events/task-event-view.ts'
import type { ChannelSend } from '../../ports/channel.ts'
import { isTaskEvent } from '../../ports/task-event.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { HistoryFact } from '../check-history.ts'
import { sequentialIds } from '../sequential-ids.ts'
import type { Owner, SimulationPlan } from './plan.ts'
import { startProcess, type NodeProcess } from './process.ts'
import type { Scenario } from './scenario.ts'
import { createTimeline } from './timeline.ts'

export interface Stage {
  readonly scenario: Scenario
  readonly store: TaskStore
  /** Is told each fact when it is one. */
  readonly note: (fact: HistoryFact) => void
  /** The processes by their numbers, the dead ones too. */
  readonly nodes: NodeProcess[]
  /** A process with the name of this number, as a program that is loaded. */
  start(index: number): NodeProcess
  /** A task that the store has, counted back from the youngest. */
  taskAt(back: number): KnownTask | undefined
  /** The same among those that live, as often around as it takes. Where none does: among all. */
  liveTaskAt(back: number): KnownTask | undefined
  /** Notes what the store has got since it was looked at last: before what is said of it, so that a story is in order. */
  readStore(): void
  /** Lets everything happen that needs no time to pass. */
  settle(): Promise<void>
  pass(ms: number): Promise<void>
  nowMs(): number
  /** What becomes of the next messages to a channel, one by one. */
  failSends(faults: ('reject' | 'hang')[]): void
}

export interface KnownTask {
  readonly taskId: string
  readonly owner: Owner
}

const FEED_PAGE = 1_000

export function createStage(scenario: Scenario, plan: SimulationPlan, note: Stage['note']): Stage {
  const timeline = createTimeline()
  const store = memoryStore({ shared: true })
  const createId = sequentialIds('id')
  const known: KnownTask[] = []
  let channelFaults: ('reject' | 'hang')[] = []
  let position = 0
  let lives = 0

  const send = async ({ target, message }: ChannelSend): Promise<void> => {
    const fault = channelFaults.shift()
    const isAccepted = fault !== 'reject'
    const body = `${message.text} (${message.part}/${message.parts})`
    const { deliveryId, part, parts } = message
    const place = { target: `${target.channel}:${target.id}`, ...(parts === 1 ? {} : { part, parts }) }
    const outbox = store.readOutbox(message.taskId) as Awaited<ReturnType<typeof store.readOutbox>>
    const isKept = outbox.some((entry) => entry.deliveryId === deliveryId)
    note({ type: 'sent', deliveryId, ...place, body, isAccepted, isKept })
    if (fault === 'reject') throw new Error('the channel refuses')
    // It is taken, and nobody hears of it.
    if (fault === 'hang') await new Promise<never>(() => undefined)
  }

  const readStore = (): void => {
    for (;;) {
      // The store in memory answers at once.
      const page = store.readFeed({ after: position, limit: FEED_PAGE }) as Awaited<ReturnType<typeof store.readFeed>>
      for (const entry of page.entries) {
        const { record, event } = entry
        if (event.type === 'task.queued') known.push({ taskId: record.taskId, owner: record.owner as Owner })
        const seen = toEventView(entry, String(entry.position))
        if (isTaskEvent(seen)) note({ type: 'committed', event: seen })
      }
      position = page.upTo
      if (page.isLast) return
    }
  }

  const start = (index: number): NodeProcess => {
    lives += 1
    const name = `n${index + 1}`
    return startProcess({
      scenario,
      timeline,
      store,
      createId,
      name,
      seed: plan.seed * 1_000 + lives,
      send,
      effect(effect, data) {
        readStore()
        note({ type: 'effect', process: name, name: effect, ...(data === undefined ? {} : { data }) })
      },
    })
  }

  const isLive = ({ taskId }: KnownTask): boolean => {
    const record = store.read(taskId) as Awaited<ReturnType<typeof store.read>>
    return record !== undefined && !isFinalStatus(record.status)
  }
  const taskAt = (back: number): KnownTask | undefined => known[known.length - 1 - back]

  const settle = async (): Promise<void> => {
    await timeline.settle()
    await turnOfTheLoop()
    readStore()
  }

  return {
    scenario,
    store,
    note,
    nodes: Array.from({ length: plan.nodes }, (_, index) => start(index)),
    start,
    taskAt,
    liveTaskAt(back) {
      const live = known.filter(isLive)
      return live.length === 0 ? taskAt(back) : live.at(-1 - (back % live.length))
    },
    readStore,
    settle,
    async pass(ms) {
      await timeline.advance(ms)
      await settle()
    },
    nowMs: timeline.nowMs,
    failSends: (faults) => void (channelFaults = faults),
  }
}

/**
 * Nothing of the library waits for the loop, but code of a scenario may, and whoever runs the simulation wants to be heard
 * between two steps.
 */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
