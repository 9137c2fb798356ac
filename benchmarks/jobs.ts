/** What the queues that are compared have to do. */
export interface Jobs {
  /** Runs so many jobs to their ends. Gives how the result of the one with a number is read from the server. */
  run(count: number): Promise<(n: number) => Promise<unknown>>
}

export interface Answer {
  readonly n: number
  readonly text: string
}

/** The work of a job: about 300 bytes of JSON. */
export async function answer(n: number): Promise<Answer> {
  return { n, text: 'x'.repeat(270) }
}
