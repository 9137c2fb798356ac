/**
 * The one gate. A session belongs to one owner, and every verb on it sees that owner's tasks only.
 *
 * 1. The owner comes from the host, when the session is made. No argument of a verb can name another.
 * 2. An id that is unknown, foreign, evicted or malformed gets one answer: `get` gives `undefined`, everything else
 *    rejects with the same `TaskNotFoundError`.
 * 3. No verb reaches a task except through the owner's `TaskPlaces`, or a list bound to the owner.
 */
import {
  beginBelow,
  beginOfRecord,
  beginRun,
  beginSpawn,
  launch,
  type Begin,
  type BeginParts,
} from './calls/begin-call.ts'
import { createPlainSpecs, toCheckedCall, type Call, type CallDefaults, type CallPlace } from './calls/call-spec.ts'
import { createRetryCall } from './calls/retry-call.ts'
import { createDeadDeliveries, toDeliveryRecord } from './dead-deliveries.ts'
import type { Deliveries } from './delivery/deliveries.ts'
import { ParentStoppingError, TaskError } from './errors.ts'
import type { Streams } from './events/streams.ts'
import { createHandle } from './handle.ts'
import { createInboxVerbs } from './verbs/inbox-verbs.ts'
import { checkText } from './options.ts'
import type { Session, SessionOptions } from './ports/session.ts'
import { createReadVerbs } from './verbs/read-verbs.ts'
import type { LiveTask } from './runtime/live-task.ts'
import type { CheckedCall } from './runtime/task-spec.ts'
import { readStats } from './stats.ts'
import { createSteerVerbs } from './verbs/steer-verbs.ts'
import type { Steering } from './verbs/steering.ts'
import { createTaskPlaces } from './task-places.ts'
import { createWaitVerbs } from './verbs/wait-verbs.ts'

export interface SessionParts extends BeginParts {
  readonly streams: Streams
  readonly steering: Steering
  readonly deliveries: Deliveries
  readonly defaults: CallDefaults
}

const MAX_CONVERSATION_CHARS = 256
const MAX_ID_CHARS = 256

export function createSession(
  parts: SessionParts,
  place: {
    readonly owner: string
    readonly options: Partial<SessionOptions>
    /** The task whose code has this session. Absent: the async context tells whose code runs, if any does. */
    readonly inside?: LiveTask | undefined
  },
): Session {
  const { runtime, store, streams, steering, defaults } = parts
  const { owner, options: given, inside } = place
  const { waitMs } = defaults.settings
  const conversation =
    given.conversation === undefined ? undefined : checkText('conversation', given.conversation, MAX_CONVERSATION_CHARS)
  const origin = given.origin === undefined ? undefined : defaults.targets.resolveFor(owner, given.origin)
  const parentId = given.parentId === undefined ? undefined : checkText('parentId', given.parentId, MAX_ID_CHARS)
  const places = createTaskPlaces(parts, { owner })

  const runningTask = (): LiveTask | undefined => inside ?? runtime.runningTask()
  const ownTask = (): LiveTask | undefined => {
    const running = runningTask()
    return running?.spec.owner === owner ? running : undefined
  }

  const outside: CallPlace = {
    owner,
    conversation,
    origin,
    parent: undefined,
    above: undefined,
    plainSpecs: createPlainSpecs(),
  }
  const below = (parent: LiveTask): CallPlace => ({ ...outside, parent, plainSpecs: undefined })

  /** A call made inside a task of the same owner joins that task's tree. */
  const here = (): CallPlace => {
    const running = ownTask()
    return running === undefined ? outside : below(running)
  }

  const check =
    (call: Call) =>
    (from: CallPlace): CheckedCall | Promise<CheckedCall> =>
      toCheckedCall(call, from, defaults)

  const start = <Result>(checked: Parameters<typeof launch>[0], begin: Begin<Result>): Promise<Result> =>
    parentId === undefined ? launch(checked, here, begin) : startBelow(parentId, checked, begin)

  const startBelow = async <Result>(
    above: string,
    checked: Parameters<typeof launch>[0],
    begin: Begin<Result>,
  ): Promise<Result> => {
    const found = places.require(above)
    const parent = found instanceof Promise ? await found : found
    switch (parent.kind) {
      case 'here':
        return launch(checked, () => below(parent.task), beginOfRecord(begin))
      case 'elsewhere': {
        const there = { ...outside, above: parent.record, plainSpecs: undefined }
        return launch(checked, () => there, beginBelow(parts, parent, begin))
      }
      case 'ended':
        throw new ParentStoppingError(above)
    }
  }

  const begin = { run: beginRun(parts, () => session), spawn: beginSpawn(parts, () => session) }
  const retryCall = createRetryCall({ store, tools: defaults.toolbox.named })
  const steer = createSteerVerbs({
    runtime,
    store,
    places,
    steering,
    owner,
    ownTask,
    runningTask,
    toTarget: (target) => defaults.targets.resolveFor(owner, target),
  })

  const session: Session = {
    owner,

    run: ((tool: unknown, input: unknown, options: unknown) =>
      start(check({ kind: 'run', tool, input, options }), begin.run)) as Session['run'],

    spawn: ((tool: unknown, input: unknown, options: unknown) =>
      start(check({ kind: 'spawn', tool, input, options }), begin.spawn)) as Session['spawn'],

    async retry(taskId) {
      const found = places.require(taskId)
      const ended = found instanceof Promise ? await found : found
      if (ended.kind !== 'ended') throw new TaskError('not_allowed', 'The task has not ended.', { taskId })
      const again = await retryCall(ended.record)
      return start(() => again, begin.spawn)
    },

    // What is no text names nothing: an absent id must not turn into the stream of everything.
    handle: (taskId: unknown) => createHandle(session, typeof taskId === 'string' ? taskId : ''),

    ...createReadVerbs({ runtime, store, streams, places, owner }),
    ...createWaitVerbs({ runtime, store, places, waitMs, runningTask, background: steer.background }),
    ...steer,

    ...createInboxVerbs({ runtime, owner, waitMs, places, runningTask }),

    async deliveries(taskId) {
      const known = places.requireKnown(taskId)
      if (known instanceof Promise) await known
      return (await store.readOutbox(taskId)).map(toDeliveryRecord)
    },

    deadDeliveries: createDeadDeliveries({
      store,
      deliveries: parts.deliveries,
      places,
      owner,
      actor: () => ownTask()?.taskId ?? owner,
    }),

    stats: () => readStats(store, runtime.tree, owner),

    async hasRunning() {
      // Those of this process are known without the store, which a promotion may just be on its way to.
      if ((runtime.tree.findOwner(owner)?.childCount ?? 0) > 0) return true
      const { live } = await readStats(store, runtime.tree, owner)
      return live > 0
    },
  }
  return session
}
