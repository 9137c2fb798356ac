/**
 * The root actor. Its chart has the phases of a supervisor; each task is an actor of its own below it, made here and
 * found here by the id that XState puts into the event of its end.
 *
 * 1. Task actors are kept in a map, not among the children of a snapshot: adding and removing one costs the same at any
 *    number.
 * 2. No code of a user runs inside this actor's transition. What has ended is collected, and taken by `takeEnded` once
 *    the transition is over.
 */
import {
  createActor,
  type Actor,
  type ActorRefFrom,
  type AnyActorScope,
  type InspectionEvent,
  type Observer,
} from 'xstate'
import { memoise } from '../../machines/memoise.ts'
import { supervisorMachine, type SupervisorMachine } from '../../machines/supervisor.machine.ts'
import { taskMachine } from '../../machines/task.machine.ts'
import { isFinalStatus, toTaskStatus, type SupervisorPhase } from '../../machines/vocabulary.ts'
import type { LiveTask } from './live-task.ts'

/** Called with everything the actors do, as XState reports it. */
export type Inspector = Observer<InspectionEvent> | ((event: InspectionEvent) => void)

export interface SupervisorActor {
  /** For inspection; it takes no orders from outside. */
  readonly ref: Pick<ActorRefFrom<SupervisorMachine>, 'id' | 'sessionId' | 'getSnapshot' | 'subscribe'>
  phase(): SupervisorPhase
  readonly live: ReadonlyMap<string, LiveTask>
  /** Holds the task's place before it has an actor. */
  register(task: LiveTask): void
  /** Makes the task's actor, in `queued`. */
  spawn(task: LiveTask): void
  forget(task: LiveTask): void
  /** The next task that became final, in the order of the ends. */
  takeEnded(): LiveTask | undefined
  drain(): void
  stop(): void
}

interface SpawnEvent {
  readonly type: 'supervisor.spawn'
  readonly task: LiveTask
}

interface TaskEndedEvent {
  readonly type: `xstate.done.actor.${string}` | `xstate.error.actor.${string}`
  readonly actorId: string
}

/** The tables are filled once, for all supervisors of the process: nothing in them belongs to one. */
const taskTable = once(() => memoise(taskMachine))
const supervisorTable = once(() => memoise(supervisorMachine))

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined
  return () => (made ??= { value: make() }).value
}

/** `memoise: false` and an inspector both run the charts themselves, so that every microstep is seen. */
export function createSupervisorActor(options: {
  readonly memoise: boolean
  readonly inspect: Inspector | undefined
}): SupervisorActor {
  const usesTable = options.memoise && options.inspect === undefined
  const taskLogic = usesTable ? taskTable() : taskMachine
  const phases = usesTable ? supervisorTable() : supervisorMachine
  const { options: defaultOptions } = createActor(taskLogic)
  const live = new Map<string, LiveTask>()
  const ended: LiveTask[] = []
  let endedTaken = 0

  const spawnActor = (task: LiveTask, scope: AnyActorScope): void => {
    // XState adds what it is given to a copy of its defaults, which costs a microsecond a name (docs/decisions.md, 159).
    const made = createActor(taskLogic, usesTable ? { parent: scope.self } : { parent: scope.self, id: task.taskId })
    made.id = task.taskId
    // It keeps that object: 300 bytes, of which it reads the defaults only.
    made.options = defaultOptions
    task.actor = made.start()
  }

  const noteEnd = (actorId: string): void => {
    const task = live.get(actorId)
    if (task === undefined) return
    const status = task.actor === undefined ? 'failed' : toTaskStatus(task.actor.getSnapshot().value)
    task.finalStatus = isFinalStatus(status) ? status : 'failed'
    task.actor = undefined
    ended.push(task)
  }

  const transition: SupervisorMachine['transition'] = (
    snapshot,
    event: SpawnEvent | TaskEndedEvent | Parameters<SupervisorMachine['transition']>[1],
    scope,
  ) => {
    if (event.type === 'supervisor.spawn') spawnActor(event.task, scope)
    else if ('actorId' in event) noteEnd(event.actorId)
    else return phases.transition(snapshot, event, scope)
    return snapshot
  }
  const logic = Object.assign(Object.create(phases) as SupervisorMachine, { transition })

  const actor: Actor<SupervisorMachine> = createActor(logic, {
    id: 'supervisor',
    ...(options.inspect === undefined ? {} : { inspect: options.inspect }),
  })
  actor.start()

  return {
    ref: actor,
    phase: () => actor.getSnapshot().value,
    live,
    register: (task) => void live.set(task.taskId, task),
    spawn(task) {
      const event: SpawnEvent = { type: 'supervisor.spawn', task }
      actor.send(event as never)
    },
    forget: (task) => void live.delete(task.taskId),
    takeEnded() {
      const task = ended[endedTaken]
      if (task !== undefined) endedTaken += 1
      if (endedTaken === ended.length) ended.length = endedTaken = 0
      return task
    },
    drain: () => actor.send({ type: 'supervisor.drain' }),
    stop: () => actor.send({ type: 'supervisor.stop' }),
  }
}
