/** Waiting, but not for ever. */
import type { Deadlines, Moment } from './ports/deadlines.ts'

/** What a promise comes to, or what `tooLate` gives or throws when that takes longer. What was begun goes on. */
export async function within<Answer>(
  limit: { readonly deadlines: Deadlines; readonly limitMs: number },
  answer: Promise<Answer>,
  tooLate: () => Answer,
): Promise<Answer> {
  let moment: Moment | undefined
  const over = new Promise<void>((resolve) => {
    moment = limit.deadlines.after(limit.limitMs, resolve, undefined)
  })
  try {
    return await Promise.race([answer, over.then(tooLate)])
  } finally {
    moment?.disarm()
  }
}

export function pause(deadlines: Deadlines, ms: number): Promise<void> {
  return new Promise((resolve) => void deadlines.after(ms, resolve, undefined))
}
