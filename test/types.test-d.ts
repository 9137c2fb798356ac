/**
 * What the compiler has to infer and what it has to refuse. Nothing here runs; `types.test.ts` compiles it, and a line
 * below a `@ts-expect-error` that compiles is an error itself.
 */
import {
  approval,
  createTaskSupervisor,
  currentTask,
  defineTool,
  isTaskError,
  isTaskEvent,
  toDigest,
  toModelMessage,
  type Approval,
  type BudgetAmounts,
  type ErrorCode,
  type Operator,
  type RetryExhausted,
  type OwnerMessage,
  type RunOutcome,
  type SendReceipt,
  type Session,
  type StreamItem,
  type TaskContext,
  type TaskEvent,
  type TaskFailure,
  type TaskHandle,
  type TaskMessage,
  type TaskRecord,
  type Ticket,
} from 'outlive'
import { controlTools, ticketText, type ControlTool, type ControlToolName } from 'outlive/tools'
import { expectTypeOf } from 'vitest'
import { z } from 'zod'

const tasks = createTaskSupervisor()
const session: Session = tasks.session({ owner: 'ann', origin: 'board:1', conversation: 'c-1' })

// A plain function gives its types to the call.
const length = (text: string): number => text.length
const lengthLater = async (text: string, ctx: TaskContext): Promise<number> => text.length + ctx.depth
const nothing = (): string => 'nothing'

export async function infersFromFunctions(): Promise<void> {
  const inline = await tasks.run(length, 'text')
  expectTypeOf(inline).toEqualTypeOf<RunOutcome<number>>()
  if (inline.kind === 'inline') expectTypeOf(inline.value).toEqualTypeOf<number>()
  else expectTypeOf(inline.ticket).toEqualTypeOf<Ticket>()

  const later = await session.run(lengthLater, 'text', { inlineMs: 5, cancelSignal: new AbortController().signal })
  expectTypeOf(later).toEqualTypeOf<RunOutcome<number>>()

  const task = await session.spawn(lengthLater, 'text', { name: 'reader', timeoutMs: Infinity, deliverTo: [] })
  expectTypeOf(task).toEqualTypeOf<TaskHandle<number>>()
  const value = await task.result({ waitMs: 5 })
  expectTypeOf(value).toEqualTypeOf<number>()
  const attached = await task.attach()
  expectTypeOf(attached).toEqualTypeOf<RunOutcome<number>>()
  const record = await task.wait()
  expectTypeOf(record).toEqualTypeOf<TaskRecord>()

  // Without an input there is nothing to pass.
  const short = await session.run(nothing)
  expectTypeOf(short).toEqualTypeOf<RunOutcome<string>>()
  const spawned = await session.spawn(nothing)
  expectTypeOf(spawned).toEqualTypeOf<TaskHandle<string>>()

  // By its id alone nobody knows what a task gives.
  const unknown = await session.result(task.taskId)
  expectTypeOf(unknown).toEqualTypeOf<unknown>()
  const handle = session.handle(task.taskId)
  expectTypeOf(handle).toEqualTypeOf<TaskHandle>()
}

// A schema gives the type of the input.
const search = defineTool({
  name: 'search',
  input: z.object({ topic: z.string(), limit: z.number().default(5) }),
  policy: { inlineMs: 0, onChildFailure: 'fail' },
  run: async ({ topic, limit }, ctx) => {
    expectTypeOf(topic).toEqualTypeOf<string>()
    expectTypeOf(limit).toEqualTypeOf<number>()
    expectTypeOf(ctx).toEqualTypeOf<TaskContext>()
    return Array.from({ length: limit }, (): string => topic)
  },
})
const double = defineTool({ name: 'double', run: (n: number) => n * 2 })

export async function infersFromTools(): Promise<void> {
  const found = await session.run(search, { topic: 'price', limit: 2 })
  expectTypeOf(found).toEqualTypeOf<RunOutcome<string[]>>()
  const task = await session.spawn(search, { topic: 'price', limit: 2 })
  const topics = await task.result()
  expectTypeOf(topics).toEqualTypeOf<string[]>()
  const twice = await tasks.run(double, 2)
  expectTypeOf(twice).toEqualTypeOf<RunOutcome<number>>()
}

export const parent = defineTool({
  name: 'parent',
  run: async (topic: string, ctx) => {
    const child = await ctx.spawn(search, { topic, limit: 1 })
    expectTypeOf(child).toEqualTypeOf<TaskHandle<string[]>>()
    const inline = await ctx.run(double, 1)
    expectTypeOf(inline).toEqualTypeOf<RunOutcome<number>>()
    ctx.progress(0.5)
    ctx.progress({ done: 1, total: 2, note: 'half' })
    ctx.usage({ tokens: 1 })
    expectTypeOf(ctx.signal).toEqualTypeOf<AbortSignal>()

    const message = await ctx.inbox.receive({ waitMs: 5 })
    expectTypeOf(message).toEqualTypeOf<TaskMessage>()
    if (message.kind === 'question') expectTypeOf(message.payload.key).toEqualTypeOf<string>()
    expectTypeOf(ctx.inbox.drain()).toEqualTypeOf<readonly TaskMessage[]>()
    for await (const each of ctx.inbox) expectTypeOf(each).toEqualTypeOf<TaskMessage>()
    expectTypeOf(await ctx.send({ sibling: 'other' }, { text: 'hello' })).toEqualTypeOf<SendReceipt>()

    // A schema gives the type of the answer; a default has it too.
    const anything = await ctx.ask('what', 'What?')
    expectTypeOf(anything).toEqualTypeOf<unknown>()
    const verdict = await ctx.ask('may', 'May I?', { schema: approval, default: { approved: false } })
    expectTypeOf(verdict).toEqualTypeOf<Approval>()
    const size = await ctx.ask('size', { text: 'How many?' }, { schema: z.coerce.number(), answerWithinMs: 5 })
    expectTypeOf(size).toEqualTypeOf<number>()
    return topic
  },
})

export async function infersMessages(): Promise<void> {
  const first = await session.inbox.receive()
  expectTypeOf(first).toEqualTypeOf<OwnerMessage>()
  if (first.kind === 'end') expectTypeOf(first.payload.record).toEqualTypeOf<TaskRecord>()
  expectTypeOf(toModelMessage(first)).toEqualTypeOf<string>()
  session.inbox.wake(async ({ messages, digest }) => {
    expectTypeOf(messages).toEqualTypeOf<readonly OwnerMessage[]>()
    expectTypeOf(digest({ maxTokens: 5 })).toEqualTypeOf<string>()
  })
}

export function infersTheRest(item: StreamItem, error: unknown): void {
  expectTypeOf(currentTask).returns.toEqualTypeOf<TaskContext | undefined>()
  if (isTaskEvent(item)) {
    expectTypeOf(item).toEqualTypeOf<TaskEvent>()
    if (item.type === 'task.failed') expectTypeOf(item.failure).toEqualTypeOf<TaskFailure>()
    if (item.type === 'task.output') expectTypeOf(item.chunk).toEqualTypeOf<string>()
  }
  if (isTaskError(error)) expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
  expectTypeOf<keyof Operator>().toEqualTypeOf<
    | 'audit'
    | 'cancel'
    | 'deadDeliveries'
    | 'events'
    | 'events$'
    | 'get'
    | 'health'
    | 'list'
    | 'live$'
    | 'reconcile'
    | 'stats'
  >()
}

export async function infersFromControlTools(ticket: Ticket): Promise<void> {
  const plain = (input: { readonly topic: string }): string => input.topic
  const tools = controlTools(session, {
    allow: ['task_check', 'task_start'],
    start: [search, double, { tool: plain, jsonSchema: { type: 'object' } }],
    redirectTo: ['board:1'],
  })
  expectTypeOf(tools).toEqualTypeOf<readonly ControlTool[]>()
  for (const { name, execute } of tools) {
    expectTypeOf(name).toEqualTypeOf<ControlToolName>()
    expectTypeOf(await execute({}, { signal: AbortSignal.timeout(5) })).toEqualTypeOf<string>()
  }
  expectTypeOf(ticketText(ticket, tools)).toEqualTypeOf<string>()
}

export async function refuses(
  ctx: TaskContext,
  task: TaskHandle<number>,
  record: TaskRecord,
  event: TaskEvent,
): Promise<void> {
  // The wrong input, and none where one is needed.
  // @ts-expect-error -- a number is no text
  await session.run(length, 5)
  // @ts-expect-error -- a number is no text
  await session.spawn(length, 5)
  // @ts-expect-error -- the input is missing
  await session.run(length)
  // @ts-expect-error -- the input is missing
  await session.spawn(double)
  // @ts-expect-error -- a topic is text
  await session.run(search, { topic: 5, limit: 1 })
  // @ts-expect-error -- the topic is missing
  await session.spawn(search, { limit: 1 })
  // @ts-expect-error -- a number is no text
  await ctx.spawn(length, 5)
  // @ts-expect-error -- what is no function is no tool
  await session.run('search', {})

  // @ts-expect-error -- the default is no approval
  await ctx.ask('may', 'May I?', { schema: approval, default: true })
  // @ts-expect-error -- there is no such option
  await ctx.ask('may', 'May I?', { waitMs: 5 })
  // @ts-expect-error -- what is asked has a key
  await ctx.ask('May I?')
  // @ts-expect-error -- an answer names its question
  await task.answer({ approved: true })

  // What a model may do is named exactly, and a host's abort is not lost by another name.
  // @ts-expect-error -- there is no such tool
  controlTools(session, { allow: ['task_delete'] })
  // @ts-expect-error -- an owner is no option: the session has it
  controlTools(session, { owner: 'ann' })
  // @ts-expect-error -- text is no tool
  controlTools(session, { start: ['search'] })
  // @ts-expect-error -- the option is called signal
  await controlTools(session)[0]?.execute({}, { abortSignal: AbortSignal.timeout(5) })

  // @ts-expect-error -- a sibling has a name
  await ctx.send({ brother: 'other' }, 'hello')
  // @ts-expect-error -- there is no such option
  await ctx.inbox.receive({ timeoutMs: 5 })
  // @ts-expect-error -- a digest has a length
  toDigest([], { maxChars: 5 })

  // Nobody takes another owner, parent or place along.
  // @ts-expect-error -- a child has the owner of its parent
  await ctx.spawn(length, 'text', { owner: 'bob' })
  // @ts-expect-error -- a child has the owner of its parent
  await ctx.run(length, 'text', { owner: 'bob' })
  // @ts-expect-error -- a session has one owner
  await session.spawn(length, 'text', { owner: 'bob' })
  // @ts-expect-error -- a parent is who calls
  await session.run(length, 'text', { parentId: 'task' })
  // @ts-expect-error -- the owner of a context is its task's
  ctx.owner = 'bob'
  // @ts-expect-error -- a list holds the tasks of one owner
  await session.list({ owner: 'bob' })
  // @ts-expect-error -- without an owner there is no session
  tasks.session({})
  // @ts-expect-error -- an owner is text
  tasks.session({ owner: 5 })

  // Options have names, values and a place.
  // @ts-expect-error -- there is no such option
  createTaskSupervisor({ timeout: 5 })
  // @ts-expect-error -- there is no such limit
  createTaskSupervisor({ limits: { maxTasks: 5 } })
  // @ts-expect-error -- there are two kinds of lineage
  createTaskSupervisor({ lineage: 'none' })
  // @ts-expect-error -- there is no such option
  await session.run(length, 'text', { timeout: 5 })
  // @ts-expect-error -- a spawn does not wait inline
  await session.spawn(length, 'text', { inlineMs: 5 })
  // @ts-expect-error -- a duration is a number
  await session.run(length, 'text', { timeoutMs: '5' })
  // @ts-expect-error -- there is no such option
  await task.result({ timeoutMs: 5 })
  // @ts-expect-error -- a caller names one of two reasons
  await task.cancel({ reason: 'timeout' })
  // @ts-expect-error -- there is no such status
  await session.list({ status: 'done' })
  // @ts-expect-error -- there is no such type of event
  session.events({ type: 'task.done' })
  // @ts-expect-error -- there is no such policy
  defineTool({ name: 'tool', policy: { retries: 5 }, run: nothing })
  // @ts-expect-error -- a tool has a name
  defineTool({ run: nothing })
  // @ts-expect-error -- a schema is a Standard Schema
  defineTool({ name: 'tool', input: {}, run: nothing })

  // A retry policy says how, or false.
  await session.run(length, 'text', { retry: false, attemptTimeoutMs: 5 })
  defineTool({
    name: 'tool',
    run: nothing,
    policy: {
      restarts: { max: 3, withinMs: 5_000 },
      retry: {
        retryIf: (failure, error) => {
          expectTypeOf(failure).toEqualTypeOf<TaskFailure>()
          expectTypeOf(error).toEqualTypeOf<unknown>()
          return failure.retryable
        },
        onExhausted: (_failure, exhausted) => expectTypeOf(exhausted).toEqualTypeOf<RetryExhausted>(),
      },
    },
  })
  // @ts-expect-error -- true says nothing of how
  await session.run(length, 'text', { retry: true })
  // @ts-expect-error -- a filter answers at once
  await session.run(length, 'text', { retry: { retryIf: async () => true } })
  // @ts-expect-error -- how often children are tried again is the tool's to say
  await session.run(length, 'text', { restarts: { max: 3, withinMs: 5_000 } })

  // A budget has limits, and what is left of it are numbers.
  await ctx.spawn(length, 'text', { budget: { tokens: 5, cost: 0.5, spawns: 0, reserve: 0.2 } })
  expectTypeOf(ctx.budget).toEqualTypeOf<BudgetAmounts | undefined>()
  // @ts-expect-error -- there is no such limit
  await session.run(length, 'text', { budget: { seconds: 5 } })
  // @ts-expect-error -- a budget is the call's to give
  defineTool({ name: 'tool', policy: { budget: { tokens: 5 } }, run: nothing })

  // What is handed out is not written to.
  // @ts-expect-error -- records are read
  record.status = 'completed'
  // @ts-expect-error -- events are read
  event.seq = 1
  // @ts-expect-error -- an id stays
  task.taskId = 'other'
}
