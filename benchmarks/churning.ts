/**
 * Tasks that come and go with names that never come again, a thousand at a time: inline, named, below a parent and
 * cancelled ones. Each has a tool, an event type and, where it may, a name of its own, and three waits that are given up.
 */
import { getEventListeners } from 'node:events'
import type { TaskContext, TaskSupervisor } from 'outlive'

const BATCH = 1_000
const WAITS_PER_TASK = 3

/** What is still there once all tasks have ended. */
export interface Left {
  readonly live: number
  /** Finished tasks that retention keeps. */
  readonly kept: number
  /** Streams that something still holds, although they were left. */
  readonly streams: number
  /** Listeners on the one signal that all calls and waits were given. */
  readonly listeners: number
}

export interface Churn {
  /** Runs so many tasks, which must be whole thousands, to their ends. */
  run(count: number): Promise<void>
  /** Call it after a garbage collection, in a later turn. */
  left(): Promise<Left>
}

export function createChurn(supervisor: TaskSupervisor): Churn {
  const session = supervisor.session({ owner: 'churn' })
  const host = new AbortController()
  let streams = 0
  const collected = new FinalizationRegistry(() => (streams -= 1))
  let next = 0

  const watch = (stream: AsyncIterableIterator<unknown>): (() => Promise<unknown>) => {
    streams += 1
    collected.register(stream, undefined)
    void stream.next()
    return async () => stream.return?.()
  }

  const batch = async (): Promise<void> => {
    const first = next
    next += BATCH
    const gate = createGate()
    const ids: string[] = []
    const workOf = (n: number) => ({
      name: `tool-${n}`,
      run: async (given: number, ctx: TaskContext): Promise<number> => {
        ids.push(ctx.taskId)
        ctx.emit(`event-${n}`, { n })
        ctx.progress({ done: 0, total: 1 })
        await gate.opened
        return given
      },
    })
    const cancelledOf = (n: number) => ({
      name: `tool-${n}`,
      run: (_: number, ctx: TaskContext): Promise<never> => {
        ids.push(ctx.taskId)
        ctx.emit(`event-${n}`, { n })
        return new Promise((_resolve, reject) => {
          ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
        })
      },
    })

    let context: TaskContext | undefined
    const isOver = createGate()
    const parent = await session.spawn(async (_: undefined, ctx: TaskContext) => {
      context = ctx
      await isOver.opened
    })
    const leaves = [watch(session.events({ after: 'now' })), watch(session.events({ taskId: parent.taskId }))]
    const subscription = supervisor.operator.events$({ after: 'now' }).subscribe()

    const values: Promise<number>[] = []
    const cancelled: string[] = []
    for (let n = first; n < first + BATCH - 1; n += 1) {
      switch (n % 4) {
        case 0: {
          const call = session.run(workOf(n), n, { cancelSignal: host.signal, inlineMs: Infinity })
          values.push(call.then((outcome) => (outcome.kind === 'inline' ? outcome.value : Number.NaN)))
          break
        }
        case 1: {
          const task = await session.spawn(workOf(n), n, { name: `task-${n}` })
          values.push(task.result())
          break
        }
        case 2: {
          const task = await context?.spawn(workOf(n), n)
          if (task !== undefined) values.push(task.result())
          break
        }
        case 3:
          cancelled.push((await session.spawn(cancelledOf(n), n)).taskId)
          break
      }
    }
    await untilTurn(() => ids.length === BATCH - 1)

    const stop = new AbortController()
    let givenUp = 0
    const giveUp = (): void => void (givenUp += 1)
    for (const [index, taskId] of ids.entries()) {
      session.wait(taskId, { waitMs: 1, signal: host.signal }).catch(giveUp)
      session.result(taskId, { signal: stop.signal }).catch(giveUp)
      session.waitAny([taskId, ids[index - 1] ?? parent.taskId], { waitMs: 1 }).catch(giveUp)
    }
    stop.abort(new Error('enough'))
    await untilTurn(() => givenUp === WAITS_PER_TASK * (BATCH - 1))

    await Promise.all(cancelled.map((taskId) => session.cancel(taskId)))
    gate.open()
    let sum = 0
    for (const value of await Promise.all(values)) sum += value
    let expected = 0
    for (let n = first; n < first + BATCH - 1; n += 1) if (n % 4 !== 3) expected += n
    if (sum !== expected) throw new Error(`the tasks gave ${sum}, not ${expected}`)
    isOver.open()
    await parent.wait()
    for (const leave of leaves) await leave()
    subscription.unsubscribe()
  }

  return {
    async run(count) {
      if (count % BATCH !== 0) throw new Error(`${count} are no whole thousands`)
      for (let done = 0; done < count; done += BATCH) await batch()
    },
    async left() {
      const { live, byStatus } = await supervisor.operator.stats()
      const total = Object.values(byStatus).reduce((sum, count) => sum + count, 0)
      return { live, kept: total - live, streams, listeners: getEventListeners(host.signal, 'abort').length }
    },
  }
}

interface Gate {
  readonly opened: Promise<void>
  open(): void
}

function createGate(): Gate {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open() }
}

async function untilTurn(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setImmediate(resolve))
}
