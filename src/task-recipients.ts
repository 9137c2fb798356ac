/**
 * Whom the code of a task may write to: its parent, its children, the other children of its parent, and its owner. Nobody
 * else, wherever they run.
 */
import { LIVE_STATUSES } from '../machines/vocabulary.ts'
import { isTaskError, TaskError, TaskNotFoundError } from './errors.ts'
import { badOption, checkOptionNames } from './options.ts'
import type { SendReceipt } from './ports/message.ts'
import type { TaskStore } from './ports/task-store.ts'
import type { LiveTask, TreeNode } from './runtime/live-task.ts'
import { isNoShadow, parentOf } from './runtime/task-status.ts'
import { asSender } from './runtime/messages/messages.ts'
import type { TaskRuntime } from './runtime/task-runtime.ts'
import { childrenOf } from './runtime/tree-index.ts'
import type { Steering } from './verbs/steering.ts'
import { createTaskPlaces, type ForTask } from './task-places.ts'

/** The longest name of a task. */
const MAX_NAME_CHARS = 64

type Send = (from: LiveTask, recipient: unknown, message: unknown) => Promise<SendReceipt>

/** @throws as `TaskContext.send` */
export function createSendFrom(parts: {
  readonly runtime: TaskRuntime
  readonly store: TaskStore
  readonly steering: Steering
}): Send {
  const { runtime, store, steering } = parts

  const sendToParent = async (parentId: string, owner: string, what: ForTask<SendReceipt>): Promise<SendReceipt> => {
    try {
      return await createTaskPlaces(parts, { owner }).act(parentId, what)
    } catch (error) {
      // There was one, so it has ended, and is kept no more.
      throw isTaskError(error, 'task_not_found') ? parentEnded(parentId) : error
    }
  }

  /** The id of a task below another one, by what its code calls it. */
  const findElsewhere = async (parentId: string, { spec }: LiveTask, called: string): Promise<string> => {
    if (runtime.membership.orders === undefined || called.length > MAX_NAME_CHARS) return called
    const name = called.toLowerCase()
    const query = { owner: spec.owner, parentId, name, status: LIVE_STATUSES, limit: 1 }
    const [named] = (await store.list(query)).records
    return named?.taskId ?? called
  }

  const sendBelow = async (
    above: { readonly parentId: string; readonly node: TreeNode | undefined },
    from: LiveTask,
    called: string,
    what: ForTask<SendReceipt>,
  ): Promise<SendReceipt> => {
    const { parentId, node } = above
    const taskId = findHere(node, from, called) ?? (await findElsewhere(parentId, from, called))
    if (taskId === from.taskId) throw new TaskNotFoundError()
    return createTaskPlaces(parts, { owner: from.spec.owner, parentId }).act(taskId, what)
  }

  /** The parent, where that has not ended: it may run in another process. @throws `task_not_found` */
  const requirePlaceOfParent = async ({ parentId, spec }: LiveTask): Promise<string> => {
    const place = await createTaskPlaces(parts, { owner: spec.owner }).require(parentId)
    if (parentId === undefined || place.kind === 'ended') throw new TaskNotFoundError()
    return parentId
  }

  return async (from, recipient, message) => {
    const { taskId, parentId, spec } = from
    const to = toRecipient(recipient)
    const sender = asSender(from)
    if (to === 'owner' || (to === 'parent' && parentId === undefined)) {
      return runtime.messages.sendToOwner(spec.owner, message, sender)
    }
    const what = steering.send(message, sender)
    if (to === 'parent') return sendToParent(parentId ?? '', spec.owner, what)
    if (typeof to === 'string') return sendBelow({ parentId: taskId, node: from }, from, to, what)
    const node = parentOf(from)
    const above = { parentId: node?.taskId ?? (await requirePlaceOfParent(from)), node }
    return sendBelow(above, from, to.sibling, what)
  }
}

function findHere(node: TreeNode | undefined, from: LiveTask, called: string): string | undefined {
  const name = called.toLowerCase()
  for (const child of node === undefined ? [] : childrenOf(node)) {
    const isMeant = child.spec.name === name || child.taskId === called
    if (isMeant && child !== from && isNoShadow(child)) return child.taskId
  }
  return undefined
}

function toRecipient(recipient: unknown): string | { readonly sibling: string } {
  if (typeof recipient === 'string') return recipient
  if (typeof recipient !== 'object' || recipient === null) {
    throw badOption('to', 'parent, owner, the name of a child or { sibling }', recipient)
  }
  const { sibling } = checkOptionNames('to', recipient, ['sibling'])
  if (typeof sibling !== 'string') throw badOption('to.sibling', 'a name', sibling)
  return { sibling }
}

function parentEnded(taskId: string): TaskError {
  return new TaskError('task_final', 'The parent has ended.', { taskId })
}
