/** Asks the host's ledger for the id of a task, before there is one. */
import { checkKey } from '../options.ts'
import type { PreparedTask, Projection } from '../ports/projection.ts'
import type { TaskStore } from '../ports/task-store.ts'
import { idTaken } from '../runtime/admission.ts'
import type { TaskSpec } from '../runtime/task-spec.ts'

export type PrepareTask = (spec: TaskSpec, parentId: string | undefined) => Promise<string | undefined>

/** @throws what the ledger throws; TypeError for an id that is none, `not_allowed` for one that a task has already */
export function createPrepareTask(projection: Projection | undefined, store: TaskStore): PrepareTask | undefined {
  if (projection?.prepare === undefined) return undefined
  return async (spec, parentId) => {
    const taskId = await projection.prepare?.(toPreparedTask(spec, parentId))
    if (taskId === undefined) return undefined
    checkKey('the id that projection.prepare gives', taskId)
    if ((await store.read(taskId)) !== undefined) throw idTaken(taskId)
    return taskId
  }
}

function toPreparedTask(spec: TaskSpec, parentId: string | undefined): PreparedTask {
  const { tool, owner, name, description, metadata, conversation } = spec
  return Object.freeze({
    tool,
    owner,
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(conversation === undefined ? {} : { conversation }),
    ...(parentId === undefined ? {} : { parentId }),
  })
}
