/**
 * Trees over several processes: a child runs in another process than its parent.
 *
 * Where the parent runs, a shadow stands for the child: a task below the parent without a log, a slot or events of its own.
 * It lives as long as the child does, so the parent waits for it, stops it, and hears how it ended, as of any child.
 * What the child asks its parent is put into the parent's inbox. Where the child runs, `remote-parents` follows the parent.
 *
 * 1. A child is adopted before it starts, so nothing starts below a parent that is stopping.
 * 2. A parent ends after the child is final in the store, or after the grace of its stop.
 * 3. A parent is told of each question of a child once, as long as the child is its own.
 */
import { onAbort } from '../../abort-listeners.ts'
import { TaskError, TaskFailedError } from '../../errors.ts'
import { RECONCILE_MS, type News } from '../../events/news.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Deadlines } from '../../ports/deadlines.ts'
import type { QuestionMessage } from '../../ports/message.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { TaskContext, ToolFunction } from '../../ports/tool.ts'
import { onEnd } from '../end-listeners.ts'
import type { LiveTask } from '../live-task.ts'
import type { Inboxes } from '../messages/inboxes.ts'
import { toQuestionLetter } from '../messages/question-message.ts'
import type { RemoteParent, TaskSpec } from '../task-spec.ts'
import { parentOf } from '../task-status.ts'
import type { Waits } from '../waits.ts'
import type { Orders } from './orders.ts'
import type { Adoption } from './task-order.ts'

export interface Shadows {
  /** Takes a child of another process under a task that runs here. @throws the refusal */
  adopt(parent: LiveTask, adoption: Adoption): RemoteParent
  /** The child never came to be. */
  disown(parent: LiveTask, childId: string): void
  /** Tells the parent's code what a child asks. @throws `task_final`, `inbox_full`; `not_allowed` when it is no child of it */
  hear(parent: LiveTask, question: QuestionMessage): void
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
  readonly inboxes: Pick<Inboxes, 'put'>
  /** Gives a task its place below its parent and starts it. @throws the refusal */
  readonly startBelow: (spec: TaskSpec, parent: LiveTask) => LiveTask
  readonly reportError: (error: unknown) => void
}): Shadows {
  const { store, news, clock, deadlines, waits } = parts
  const disowned = new Set<string>()
  /** By the ids of the children, with the questions that were told. */
  const standing = new Map<string, { readonly shadow: LiveTask; readonly told: Set<string> }>()

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
      const shadow = parts.startBelow(spec, parent)
      standing.set(childId, { shadow, told: new Set() })
      onEnd(shadow, () => void standing.delete(childId))
      return toRemoteParent(parent)
    },

    hear(parent, question) {
      const { messageId, from } = question
      const known = standing.get(from.taskId ?? '')
      if (known === undefined || parentOf(known.shadow) !== parent) {
        throw new TaskError('not_allowed', 'The task is no child of this one.', { taskId: parent.taskId })
      }
      if (known.told.has(messageId)) return
      parts.inboxes.put(parent, toQuestionLetter(question))
      known.told.add(messageId)
    },

    disown: (_parent, childId) => void disowned.add(childId),
  }
}

function toRemoteParent({ taskId, parentId, rootId, depth, correlation, log }: LiveTask): RemoteParent {
  return { taskId, parentId, rootId, depth, correlation, epoch: log?.committed?.epoch ?? 1 }
}
