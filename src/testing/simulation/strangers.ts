/** Somebody else tries his hand at a task: by no verb may he find it. */
import { isTaskError } from '../../errors.ts'
import type { Session } from '../../ports/session.ts'
import type { NodeProcess } from './process.ts'
import type { Stage } from './stage.ts'

export function peek(
  { note, taskAt }: Stage,
  node: NodeProcess,
  { task, verb }: { readonly task: number; readonly verb: number },
): void {
  const found = taskAt(task)
  if (found === undefined) return
  const { taskId } = found
  const stranger = node.session(found.owner === 'ann' ? 'bob' : 'ann')
  const [name, call] = STRANGE_VERBS[verb % STRANGE_VERBS.length] as (typeof STRANGE_VERBS)[number]
  node.ask(
    () => isFound(() => call(stranger, taskId)),
    (isThere) => {
      if (isThere !== undefined) note({ type: 'peeked', taskId, verb: name, found: isThere })
    },
  )
}

const STRANGE_VERBS: readonly (readonly [string, (session: Session, taskId: string) => Promise<unknown>])[] = [
  ['get', (session, taskId) => session.get(taskId)],
  ['wait', (session, taskId) => session.wait(taskId, { waitMs: 1 })],
  ['result', (session, taskId) => session.result(taskId, { waitMs: 1 })],
  ['cancel', (session, taskId) => session.cancel(taskId)],
  ['redirect', (session, taskId) => session.redirect(taskId, 'mail:thief')],
  ['answer', (session, taskId) => session.answer(taskId, 'sure', true)],
  ['send', (session, taskId) => session.send(taskId, 'hello')],
  ['background', (session, taskId) => session.background(taskId)],
  ['attach', (session, taskId) => session.attach(taskId, { waitMs: 1 })],
  ['deliveries', (session, taskId) => session.deliveries(taskId)],
  [
    'list',
    async (session, taskId) => (await session.list({ limit: 1_000 })).tasks.find((record) => record.taskId === taskId),
  ],
]

/** Whether a verb has found its task; nothing when it could not tell. */
async function isFound(call: () => Promise<unknown>): Promise<boolean | undefined> {
  try {
    return (await call()) !== undefined
  } catch (error) {
    if (isTaskError(error, 'task_not_found')) return false
    const couldNotTell = !isTaskError(error) || /^store_|supervisor_closed|task_unreachable/.test(error.code)
    return couldNotTell ? undefined : true
  }
}
