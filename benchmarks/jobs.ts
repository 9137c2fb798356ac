/** What the queues that are compared have to do. */
export interface Jobs {
  /** Runs so many jobs to their ends. Gives how the result of the one with a number is read from the server. */
  run(count: number): Promise<(n: number) => Promise<unknown>>
}

/** Has so many callers make the calls, each of whom waits for the result of his call before he makes the next one. */
export async function callInTurns(
  { count, callers }: { readonly count: number; readonly callers: number },
  call: (n: number) => Promise<void>,
): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: Math.min(count, callers) }, async () => {
      while (next < count) {
        const n = next
        next += 1
        await call(n)
      }
    }),
  )
}

export interface Answer {
  readonly n: number
  readonly text: string
}

/** The work of a job: about 300 bytes of JSON. */
export async function answer(n: number): Promise<Answer> {
  return { n, text: 'x'.repeat(270) }
}
