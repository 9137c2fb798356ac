/** Tools whose calls a test ends by hand. */
import type { TaskContext, ToolDefinition, ToolPolicy } from '../ports/tool.ts'

/** One call of a controllable tool. */
export interface ToolCall<Input, Output> {
  readonly input: Input
  readonly ctx: TaskContext
  resolve(value: Output): void
  reject(error: unknown): void
}

export interface ControllableTool<Input, Output> {
  readonly tool: ToolDefinition<Input, Output>
  /** The calls so far, in their order. */
  readonly calls: readonly ToolCall<Input, Output>[]
  /** A call that has to be there. @throws Error when the tool was called less often */
  call(index: number): ToolCall<Input, Output>
}

/**
 * Makes a tool whose calls stay open until the test settles them. With `honoursSignal` a call rejects with the reason of
 * its signal; without, it never looks at it.
 */
export function controllableTool<Input = undefined, Output = unknown>(
  name: string,
  options: { readonly honoursSignal?: boolean; readonly policy?: ToolPolicy } = {},
): ControllableTool<Input, Output> {
  const calls: ToolCall<Input, Output>[] = []
  return {
    tool: {
      name,
      ...(options.policy === undefined ? {} : { policy: options.policy }),
      run: (input, ctx) =>
        new Promise<Output>((resolve, reject) => {
          calls.push({ input, ctx, resolve, reject })
          if (options.honoursSignal !== true) return
          const { signal } = ctx
          const stop = (): void => reject(signal.reason as Error)
          if (signal.aborted) stop()
          else signal.addEventListener('abort', stop, { once: true })
        }),
    },
    calls,
    call(index) {
      const call = calls[index]
      if (call === undefined) throw new Error(`${name} was called ${calls.length} times, not ${index + 1}`)
      return call
    },
  }
}
