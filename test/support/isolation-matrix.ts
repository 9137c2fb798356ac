/**
 * Every verb of a session and of a task handle, and every control tool of a model, once: how it is asked about one task,
 * and what somebody gets whose task it is not. The tests compare the names here with those of the real objects, so a new
 * verb without a row fails.
 */
import { isTaskError, type ErrorCode, type Session, type StreamItem, type TaskHandle } from 'outlive'
import type { ControlToolName, ControlToolsOptions } from 'outlive/tools'
import type { Observable } from 'rxjs'
import { expect } from 'vitest'
import { callTool, readFenced, TASK_NOT_FOUND_TEXT } from './tool-calls.ts'

/** What an id gets that names no kept task of the owner. */
export type NotOwnAnswer = 'undefined' | 'not found' | 'nothing' | 'told'

export interface IdRow {
  /** Asks about a task by its id. Streams are read to their end. */
  ask(session: Session, taskId: string): Promise<unknown>
  readonly notOwn: NotOwnAnswer
  /** What the answer about a completed task of one's own, whose result is `done`, has to match. */
  answerOfOwn(taskId: string): unknown
}

export interface OwnerRow {
  /** Asks without an id. */
  ask(session: Session): Promise<unknown>
  /** What an owner gets who has no tasks. */
  readonly answerOfNewcomer: (owner: string) => unknown
}

const aboutTask = (taskId: string): unknown => ({ taskId })
const aboutTasks = (taskId: string): unknown => [{ taskId }]
const theValue = (): unknown => 'done'
const theInlineValue = (): unknown => ({ kind: 'inline', value: 'done' })
const nothingToCancel = (taskId: string): unknown => ({ count: 0, tasks: [{ taskId, status: 'completed' }] })
const theWholeLog = (taskId: string): unknown =>
  ['task.queued', 'task.started', 'task.completed'].map((type) => ({ type, taskId }))
const noValue = (): unknown => undefined
const none = (): unknown => []

/** An order that is refused for one reason, with the code that says so. */
async function refusedAs(code: ErrorCode, order: Promise<unknown>): Promise<unknown> {
  try {
    return await order
  } catch (error) {
    if (isTaskError(error, code)) return error.code
    throw error
  }
}

/** An order that a completed task refuses. */
const refusedAsFinal = (order: Promise<unknown>): Promise<unknown> => refusedAs('task_final', order)
const tooLate = (): unknown => 'task_final'

/** The name of the run that the test's tasks with this id belong to. */
export const runOf = (taskId: unknown): string => (typeof taskId === 'string' ? `run of ${taskId}` : (taskId as string))

/** The verbs of a session that take the id of a task. */
export const ID_ROWS = {
  get: { ask: (session, taskId) => session.get(taskId), notOwn: 'undefined', answerOfOwn: aboutTask },
  handle: {
    ask: async (session, taskId) => session.handle(taskId).record(),
    notOwn: 'not found',
    answerOfOwn: aboutTask,
  },
  list: {
    ask: async (session, taskId) => (await session.list({ tree: taskId })).tasks,
    notOwn: 'nothing',
    answerOfOwn: aboutTasks,
  },
  wait: { ask: (session, taskId) => session.wait(taskId), notOwn: 'not found', answerOfOwn: aboutTask },
  waitAny: { ask: (session, taskId) => session.waitAny([taskId]), notOwn: 'not found', answerOfOwn: aboutTask },
  waitAll: { ask: (session, taskId) => session.waitAll([taskId]), notOwn: 'not found', answerOfOwn: aboutTasks },
  result: {
    ask: (session, taskId) => session.result(taskId),
    notOwn: 'not found',
    answerOfOwn: theValue,
  },
  cancel: { ask: (session, taskId) => session.cancel(taskId), notOwn: 'not found', answerOfOwn: nothingToCancel },
  cancelAll: {
    ask: async (session, taskId) => (await session.cancelAll({ runId: runOf(taskId) })).tasks,
    notOwn: 'nothing',
    // The task has ended, so there is nothing to stop; that the verb stops live ones is told elsewhere.
    answerOfOwn: none,
  },
  redirect: {
    ask: (session, taskId) => session.redirect(taskId, 'board:other'),
    notOwn: 'not found',
    answerOfOwn: noValue,
  },
  answer: {
    ask: (session, taskId) => refusedAsFinal(session.answer(taskId, 'key', 'yes')),
    notOwn: 'not found',
    answerOfOwn: tooLate,
  },
  send: {
    ask: (session, taskId) => refusedAsFinal(session.send(taskId, 'hello')),
    notOwn: 'not found',
    answerOfOwn: tooLate,
  },
  retry: {
    ask: (session, taskId) => refusedAs('not_allowed', session.retry(taskId)),
    notOwn: 'not found',
    answerOfOwn: () => 'not_allowed',
  },
  background: { ask: (session, taskId) => session.background(taskId), notOwn: 'not found', answerOfOwn: aboutTask },
  attach: { ask: (session, taskId) => session.attach(taskId), notOwn: 'not found', answerOfOwn: theInlineValue },
  events: {
    ask: async (session, taskId) => readIterator(session.events({ taskId })),
    notOwn: 'not found',
    answerOfOwn: theWholeLog,
  },
  events$: {
    ask: async (session, taskId) => readObservable(session.events$({ taskId })),
    notOwn: 'not found',
    answerOfOwn: theWholeLog,
  },
  deliveries: {
    ask: (session, taskId) => session.deliveries(taskId),
    notOwn: 'not found',
    answerOfOwn: none,
  },
} satisfies Partial<Record<keyof Session, IdRow>> as Readonly<Partial<Record<keyof Session, IdRow>>>

/** Where a call says that it runs. */
const whoAmI = (_input: unknown, ctx: { owner: string; parentId: string | undefined; depth: number }): object => ({
  owner: ctx.owner,
  parentId: ctx.parentId,
  depth: ctx.depth,
})

/** What a model might write to become somebody else. */
const PRETENCE = { owner: 'ann', user_id: 'ann', userId: 'ann', parentId: 'task-1', session: { owner: 'ann' } }

/** The verbs of a session that work without an id: on all that the owner has, or on what they start. */
export const OWNER_ROWS = {
  owner: { ask: async (session) => session.owner, answerOfNewcomer: (owner) => owner },
  run: {
    ask: async (session) => {
      const outcome = await session.run(whoAmI, PRETENCE)
      return outcome.kind === 'inline' ? outcome.value : outcome
    },
    answerOfNewcomer: (owner) => ({ owner, parentId: undefined, depth: 0 }),
  },
  spawn: {
    ask: async (session) => (await session.spawn(whoAmI, PRETENCE)).result(),
    answerOfNewcomer: (owner) => ({ owner, depth: 0 }),
  },
  list: { ask: (session) => session.list(), answerOfNewcomer: () => ({ tasks: [] }) },
  cancelAll: { ask: (session) => session.cancelAll(), answerOfNewcomer: () => ({ count: 0, tasks: [] }) },
  events: { ask: async (session) => readForAWhile(session), answerOfNewcomer: () => [] },
  events$: {
    ask: async (session) => {
      const items: StreamItem[] = []
      const subscription = session.events$().subscribe((item) => items.push(item))
      await passTurns()
      subscription.unsubscribe()
      return items
    },
    answerOfNewcomer: () => [],
  },
  live$: {
    ask: async (session) => {
      let last: unknown
      session.live$.subscribe((tasks) => (last = tasks)).unsubscribe()
      return last
    },
    answerOfNewcomer: () => [],
  },
  stats: { ask: (session) => session.stats(), answerOfNewcomer: () => ({ byStatus: {}, live: 0 }) },
  inbox: { ask: (session) => session.inbox.drain(), answerOfNewcomer: () => [] },
  deadLetters: { ask: async (session) => session.deadLetters.list(), answerOfNewcomer: () => [] },
  deadDeliveries: {
    ask: (session) => session.deadDeliveries.list(),
    answerOfNewcomer: () => ({ deliveries: [] }),
  },
  whenIdle: { ask: (session) => session.whenIdle(), answerOfNewcomer: noValue },
  hasRunning: { ask: (session) => session.hasRunning(), answerOfNewcomer: () => false },
} satisfies Partial<Record<keyof Session, OwnerRow>> as Readonly<Partial<Record<keyof Session, OwnerRow>>>

/** The verbs of a task handle. Each of them goes through the session, so each of them has the session's answers. */
export const HANDLE_ROWS = {
  taskId: undefined,
  record: { ask: (session, taskId) => session.handle(taskId).record(), notOwn: 'not found', answerOfOwn: aboutTask },
  result: {
    ask: (session, taskId) => session.handle(taskId).result(),
    notOwn: 'not found',
    answerOfOwn: theValue,
  },
  wait: { ask: (session, taskId) => session.handle(taskId).wait(), notOwn: 'not found', answerOfOwn: aboutTask },
  cancel: {
    ask: (session, taskId) => session.handle(taskId).cancel(),
    notOwn: 'not found',
    answerOfOwn: nothingToCancel,
  },
  redirect: {
    ask: (session, taskId) => session.handle(taskId).redirect('board:other'),
    notOwn: 'not found',
    answerOfOwn: noValue,
  },
  answer: {
    ask: (session, taskId) => refusedAsFinal(session.handle(taskId).answer('key', 'yes')),
    notOwn: 'not found',
    answerOfOwn: tooLate,
  },
  send: {
    ask: (session, taskId) => refusedAsFinal(session.handle(taskId).send('hello')),
    notOwn: 'not found',
    answerOfOwn: tooLate,
  },
  background: {
    ask: (session, taskId) => session.handle(taskId).background(),
    notOwn: 'not found',
    answerOfOwn: aboutTask,
  },
  attach: {
    ask: (session, taskId) => session.handle(taskId).attach(),
    notOwn: 'not found',
    answerOfOwn: theInlineValue,
  },
  events: {
    ask: async (session, taskId) => readIterator(session.handle(taskId).events()),
    notOwn: 'not found',
    answerOfOwn: theWholeLog,
  },
  events$: {
    ask: async (session, taskId) => readObservable(session.handle(taskId).events$),
    notOwn: 'not found',
    answerOfOwn: theWholeLog,
  },
} satisfies Record<keyof TaskHandle, IdRow | undefined> as Readonly<Record<keyof TaskHandle, IdRow | undefined>>

/** What an id gets from a tool that a model calls. */
export const NOT_OWN_TOLD = TASK_NOT_FOUND_TEXT

/** A set with every control tool there is. */
export const EVERY_TOOL: ControlToolsOptions = {
  redirectTo: ['board:other'],
  mayAnswer: true,
  start: [{ tool: whoAmI, jsonSchema: { type: 'object' } }],
}

const toolRow = (name: ControlToolName, answerOfOwn: RegExp, more: object = {}): IdRow => ({
  ask: (session, taskId) => callTool(session, name, { task_id: taskId, owner: 'ann', ...more }, EVERY_TOOL),
  notOwn: 'told',
  answerOfOwn: () => expect.stringMatching(answerOfOwn) as unknown,
})

/** The tools of a model that take the id of a task. */
export const TOOL_ID_ROWS = {
  task_check: toolRow('task_check', /^Task \S+ \(work\): completed\./),
  task_wait: toolRow('task_wait', /\ndone\n/, { wait_seconds: 1 }),
  task_result: toolRow('task_result', /\ndone\n/, { page: 1 }),
  task_cancel: toolRow('task_cancel', /had ended already \(completed\)/),
  task_send: toolRow('task_send', /^The task has ended already/, { text: 'hello' }),
  task_answer: toolRow('task_answer', /has ended already/, { question: 'go', answer: true }),
  task_redirect: toolRow('task_redirect', /sent to board:other now/, { target: 'board:other' }),
} satisfies Partial<Record<ControlToolName, IdRow>>

/** Those that work without an id. */
export const TOOL_OWNER_ROWS = {
  task_list: {
    ask: (session) => callTool(session, 'task_list', { status: 'all', owner: 'ann' }, EVERY_TOOL),
    answerOfNewcomer: () => 'There are no tasks.',
  },
  task_start: {
    ask: async (session) => {
      const args = { tool: 'whoAmI', input: PRETENCE, ...PRETENCE }
      return JSON.parse(readFenced(await callTool(session, 'task_start', args, EVERY_TOOL)).data) as unknown
    },
    answerOfNewcomer: (owner) => ({ owner, depth: 0 }),
  },
} satisfies Partial<Record<ControlToolName, OwnerRow>> as Readonly<Partial<Record<ControlToolName, OwnerRow>>>

/** All rows that take an id, with the name a failure shows. */
export const ID_CELLS: readonly { readonly verb: string; readonly row: IdRow }[] = [
  ...Object.entries(ID_ROWS).map(([verb, row]) => ({ verb: `session.${verb}`, row })),
  ...Object.entries(HANDLE_ROWS).flatMap(([verb, row]) => (row === undefined ? [] : [{ verb: `handle.${verb}`, row }])),
  ...Object.entries(TOOL_ID_ROWS).map(([verb, row]) => ({ verb, row })),
]

export const OWNER_CELLS: readonly { readonly verb: string; readonly row: OwnerRow }[] = [
  ...Object.entries(OWNER_ROWS).map(([verb, row]) => ({ verb: `session.${verb}`, row })),
  ...Object.entries(TOOL_OWNER_ROWS).map(([verb, row]) => ({ verb, row })),
]

/** The names that an object answers to, own and inherited, as a caller sees them. */
export function verbsOf(target: object): string[] {
  const inherited = Object.getOwnPropertyNames(Object.getPrototypeOf(target)).filter((name) => name !== 'constructor')
  const known = new Set(Object.getOwnPropertyNames(Object.prototype))
  return [...new Set([...Object.keys(target), ...inherited])].filter((name) => !known.has(name)).sort()
}

/** Ids that are none, some of them built from a real one. */
export function malformedIds(realId: string): readonly unknown[] {
  return [
    '',
    ' ',
    '__proto__',
    'constructor',
    'hasOwnProperty',
    'x'.repeat(10_240),
    `${realId}\u0000`,
    `\u0000${realId}`,
    `${realId} `,
    realId.toUpperCase(),
    0,
    5,
    Number.NaN,
    -1n,
    null,
    true,
    Symbol(realId),
    {},
    [realId],
    { toString: () => realId },
    new String(realId),
    () => realId,
  ]
}

/** All that an error tells, but for the place in the code where it was made. */
export function fingerprint(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: error }
  const own = Reflect.ownKeys(error).filter((key) => key !== 'stack')
  return {
    kind: error.constructor.name,
    text: String(error),
    json: JSON.stringify(error),
    properties: own.map((key) => [key, Object.getOwnPropertyDescriptor(error, key)]),
    inherited: [error.name, error.message, 'code' in error && error.code, 'cause' in error && error.cause],
  }
}

/** The answer, or the fingerprint of the error, told apart. */
export async function outcomeOf(ask: () => Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await ask() }
  } catch (error) {
    return { rejected: fingerprint(error) }
  }
}

async function readIterator(stream: AsyncIterable<StreamItem>): Promise<StreamItem[]> {
  const items: StreamItem[] = []
  for await (const item of stream) items.push(item)
  return items
}

function readObservable(stream: Observable<StreamItem>): Promise<StreamItem[]> {
  return new Promise((resolve, reject) => {
    const items: StreamItem[] = []
    stream.subscribe({ next: (item) => items.push(item), error: reject, complete: () => resolve(items) })
  })
}

/** What the owner's whole stream gives before it would have to wait. */
async function readForAWhile(session: Session): Promise<StreamItem[]> {
  const leave = new AbortController()
  const reading = readIterator(session.events({ signal: leave.signal }))
  await passTurns()
  leave.abort()
  return reading
}

async function passTurns(): Promise<void> {
  for (let turn = 0; turn < 40; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
