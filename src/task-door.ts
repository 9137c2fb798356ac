/**
 * The door behind a task's context: what its code asks for, in the name of its owner, in its conversation, with the task as the
 * parent of what it starts. Nothing that code says can choose another owner.
 */
import { beginRun, beginSpawn, launch } from './calls/begin-call.ts'
import { createPlainSpecs, toCheckedCall, type CallPlace, type PlainSpecs } from './calls/call-spec.ts'
import { ParentStoppingError, TaskError } from './errors.ts'
import type { DoorCall, TaskDoor } from './ports/task-door.ts'
import type { Session } from './ports/session.ts'
import type { TaskSpec } from './runtime/task-spec.ts'
import { createSession, type SessionParts } from './session.ts'
import { createTaskPlaces } from './task-places.ts'
import { createSendFrom } from './task-recipients.ts'

export function createTaskDoor(parts: SessionParts): TaskDoor {
  const { runtime, steering } = parts
  const { live } = runtime.supervisor
  const sendFrom = createSendFrom(parts)
  const sessions = new WeakMap<object, Session>()
  /** By what the parent asked for: it has the owner, the conversation and the origin of its children. */
  const plainSpecs = new WeakMap<TaskSpec, PlainSpecs>()

  const plainSpecsBelow = (spec: TaskSpec): PlainSpecs => {
    const known = plainSpecs.get(spec) ?? createPlainSpecs()
    plainSpecs.set(spec, known)
    return known
  }

  /**
   * What a task's code waits for through a handle counts as its own wait. Where no async context tells whose code runs,
   * the session has to.
   */
  const sessionOf = (parentId: string, owner: string): Session => {
    const inside = runtime.isAmbient ? undefined : live.get(parentId)
    const key = inside ?? runtime.tree.requireOwner(owner)
    const known = sessions.get(key) ?? createSession(parts, { owner, options: {}, inside })
    sessions.set(key, known)
    return known
  }

  const placeOf = (call: DoorCall) => (): CallPlace => {
    const parent = live.get(call.parentId)
    if (parent === undefined) throw new ParentStoppingError(call.parentId)
    const { owner, conversation, origin } = parent.spec
    return { owner, conversation, origin, parent, above: undefined, plainSpecs: plainSpecsBelow(parent.spec) }
  }

  return {
    run: (call) => {
      const begin = beginRun(parts, () => sessionOf(call.parentId, call.owner))
      return launch((place) => toCheckedCall({ kind: 'run', ...call }, place, parts.defaults), placeOf(call), begin)
    },

    spawn: (call) => {
      const begin = beginSpawn(parts, () => sessionOf(call.parentId, call.owner))
      return launch((place) => toCheckedCall({ kind: 'spawn', ...call }, place, parts.defaults), placeOf(call), begin)
    },

    async answer({ parentId, owner, childId, key, value }) {
      const children = createTaskPlaces(parts, { owner, parentId })
      await children.act(childId, steering.answer({ key, value, actor: parentId }))
    },

    async send({ taskId, to, message }) {
      const from = live.get(taskId)
      if (from?.finalStatus !== undefined || from === undefined) {
        throw new TaskError('task_final', 'The task has ended.', { taskId })
      }
      return sendFrom(from, to, message)
    },
  }
}
