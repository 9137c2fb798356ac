/** The tools of tests with several processes, the same ones in each. */
import { defineTool, type TaskContext } from 'outlive'

/** Is told what the code of a task goes through. */
export type Note = (what: 'started' | 'stopped', ctx: TaskContext) => void

export type TestTools = ReturnType<typeof createTestTools>

export function createTestTools(note: Note = () => undefined) {
  const untilStopped = (ctx: TaskContext): Promise<never> => {
    note('started', ctx)
    return new Promise((_resolve, reject) => {
      ctx.signal.addEventListener('abort', () => {
        note('stopped', ctx)
        reject(ctx.signal.reason as Error)
      })
    })
  }

  /** Runs until it is stopped, and must not run twice. */
  const hold = defineTool({ name: 'hold', run: (_: unknown, ctx) => untilStopped(ctx) })

  /** Runs until its process is gone, and ends at once where it runs again. */
  const again = defineTool({
    name: 'again',
    policy: { recovery: 'rerun' },
    run: (_: unknown, ctx): string | Promise<string> => {
      if (ctx.attempt === 1) return untilStopped(ctx)
      note('started', ctx)
      return `attempt ${ctx.attempt}`
    },
  })

  /** Takes its process down in each attempt. */
  const deadly = defineTool({
    name: 'deadly',
    policy: { recovery: 'rerun', maxInterruptions: 2 },
    run: (how: 'kill' | 'abort', ctx) => {
      note('started', ctx)
      if (how === 'abort') process.abort()
      process.kill(process.pid, 'SIGKILL')
      return untilStopped(ctx)
    },
  })

  /** Says something all the time, until it has said enough. */
  const talk = defineTool({
    name: 'talk',
    run: async ({ everyMs, times }: { readonly everyMs: number; readonly times: number }, ctx) => {
      note('started', ctx)
      for (let said = 1; said <= times && !ctx.signal.aborted; said += 1) {
        await new Promise((resolve) => setTimeout(resolve, everyMs))
        ctx.progress({ done: said, total: times })
        ctx.emit('said', { said, atMs: wallMs() })
      }
      return times
    },
  })

  /** Gives what it was given after a while. */
  const echo = defineTool({
    name: 'echo',
    run: async ({ text, afterMs }: { readonly text: string; readonly afterMs: number }) => {
      if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs))
      return text
    },
  })

  /** Does one thing after another: hears a message, asks a question, and gives both. */
  const dialogue = defineTool({
    name: 'dialogue',
    run: async (_: unknown, ctx) => {
      note('started', ctx)
      const { payload } = await ctx.inbox.receive()
      return { message: payload, answer: await ctx.ask('sure', 'Are you sure?') }
    },
  })

  const step = defineTool({
    name: 'step',
    run: async (text: string, ctx) => {
      ctx.progress(0.5)
      ctx.output(text)
      await new Promise((resolve) => setTimeout(resolve, 20))
      return text
    },
  })

  /** A small tree: two steps, one after the other, and what they gave. */
  const tree = defineTool({
    name: 'tree',
    policy: { recovery: 'rerun', maxInterruptions: 100 },
    run: async (texts: readonly string[], ctx) => {
      note('started', ctx)
      const done: string[] = []
      for (const text of texts) {
        const child = await ctx.spawn(step, text)
        ctx.progress({ done: done.length, total: texts.length })
        done.push(await child.result())
      }
      return done
    },
  })

  return { hold, again, deadly, talk, echo, dialogue, tree }
}

/** Milliseconds that mean the same in all processes of a machine, with fractions. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now()
}
