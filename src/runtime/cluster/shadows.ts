/**
 * Trees over several processes: a child runs in another process than its parent.
 *
 * Where the parent runs, a shadow stands for the child: a task below the parent without a log, a slot or events of its own.
 * It lives as long as the child does, so the parent waits for it, stops it, and hears how it ended, as of any child.
 * Where the child runs, the parent is followed: when that has ended without the child, or runs again elsewhere, the child is
 * stopped.
 *
 * 1. A child is adopted before it starts, so nothing starts below a parent that is stopping.
 * 2. A parent ends after the child is final in the store, or after the grace of its stop.
 */
import { isFinalStatus, type StopCause } from '../../../machines/vocabulary.ts'
import { onAbort } from '../../abort-listeners.ts'
import { TaskFailedError } from '../../errors.ts'
import { RECONCILE_MS, type News } from '../../events/news.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { TaskContext, ToolFunction } from '../../ports/tool.ts'
import type { LiveTask } from '../live-task.ts'
import type { RemoteParent, TaskSpec } from '../task-spec.ts'
import type { Waits } from '../waits.ts'
import type { Orders } from './orders.ts'
import type { Adoption } from './task-order.ts'

export interface Shadows {
  /** Takes a child of another process under a task that runs here. @throws the refusal */
  adopt(parent: LiveTask, adoption: Adoption): RemoteParent
  /** The child never came to be. */
  disown(parent: LiveTask, childId: string): void
  /** Stops a task that runs here when its parent, which does not, leaves it alone. */
  follow(child: LiveTask, parent: RemoteParent): void
}

/** How long a child may take from its adoption to its record. */
const BIRTH_MS = 30_000

export function createShadows(parts: {
  readonly store: TaskStore
  readonly news: News
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly waits: Waits
  readonly orders: () => Orders | undefined
  /** Gives a task its place below its parent and starts it. @throws the refusal */
  readonly startBelow: (spec: TaskSpec, parent: LiveTask) => void
  readonly stop: (task: LiveTask, cause: StopCause) => void
  readonly reportError: (error: unknown) => void
}): Shadows {
  const { store, news, clock, deadlines, waits } = parts
  const disowned = new Set<string>()

  /** Resolves at the next news of the owner, or a little later. */
  const someNews = (owner: string): Promise<void> =>
    new Promise((resolve) => {
      const end = (): void => {
        stop()
        patience.disarm()
        resolve()
      }
      const stop = news.watch(owner, end)
      const patience = deadlines.after(RECONCILE_MS, end, undefined)
    })

  const whenBorn = async (childId: string, owner: string): Promise<StoredRecord | undefined> => {
    const giveUpAtMs = clock.monotonicMs() + BIRTH_MS
    while (clock.monotonicMs() < giveUpAtMs && !disowned.has(childId)) {
      const coming = someNews(owner)
      const record = await store.read(childId)
      if (record !== undefined) return record
      await coming
    }
    return undefined
  }

  const cancel = (record: StoredRecord, parentId: string): void => {
    const cause = { reason: 'parent', actor: parentId } as const
    parts.orders()?.send(record, { verb: 'cancel', cause }).catch(parts.reportError)
  }

  const live =
    (childId: string): ToolFunction<never, unknown> =>
    async (_input: never, { signal, owner, parentId = '' }: TaskContext) => {
      const record = await whenBorn(childId, owner)
      disowned.delete(childId)
      if (record === undefined) return
      const stopListening = onAbort(signal, () => cancel(record, parentId))
      if (signal.aborted) cancel(record, parentId)
      try {
        const [end] = await waits.whenEnded([childId], 1, { waitMs: Infinity, signal: undefined, waiter: undefined })
        const { status, failure } = end?.record ?? {}
        if (status === 'failed' && failure !== undefined) throw new TaskFailedError(childId, failure)
      } finally {
        stopListening()
      }
    }

  return {
    adopt(parent, { childId, tool, onParentEnd }) {
      const { owner, conversation, origin } = parent.spec
      const spec: TaskSpec = {
        tool,
        run: live(childId),
        owner,
        conversation,
        origin,
        name: undefined,
        description: undefined,
        metadata: undefined,
        correlation: undefined,
        inlineMs: Infinity,
        policy: Object.freeze({ timeoutMs: Infinity, onParentEnd, onChildFailure: 'isolate' }),
        attempts: undefined,
        recovery: undefined,
        budget: undefined,
        durable: false,
        priority: 0,
        concurrency: undefined,
        dedupe: undefined,
        targets: Object.freeze([]),
        hasExplicitTarget: false,
        shadowOf: childId,
        retryOf: undefined,
      }
      parts.startBelow(spec, parent)
      return toRemoteParent(parent)
    },

    disown: (_parent, childId) => void disowned.add(childId),

    follow(child, { taskId, epoch }) {
      const look = async (): Promise<void> => {
        const record = await store.read(taskId)
        const isThere = record !== undefined && !isFinalStatus(record.status) && record.epoch === epoch
        if (isThere || child.finalStatus !== undefined) return
        stopWatching()
        if (child.spec.policy.onParentEnd !== 'detach') parts.stop(child, { reason: 'parent', actor: taskId })
      }
      const stopWatching = news.watch(child.spec.owner, () => void look().catch(parts.reportError))
      if (child.endListeners === undefined) child.endListeners = [stopWatching]
      else child.endListeners.push(stopWatching)
    },
  }
}

function toRemoteParent({ taskId, parentId, rootId, depth, correlation, log }: LiveTask): RemoteParent {
  return { taskId, parentId, rootId, depth, correlation, epoch: log?.committed?.epoch ?? 1 }
}
