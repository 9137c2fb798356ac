/**
 * What the same call costs without a task manager: a race with a timer, and an AbortController so that the work can be
 * told to stop. Everything here is measured beside this, in the same process.
 */
export async function raceWithDeadline<Value>(
  work: (signal: AbortSignal) => Value | PromiseLike<Value>,
  deadlineMs: number,
): Promise<Value> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new Error('too late')
      controller.abort(error)
      reject(error)
    }, deadlineMs)
  })
  try {
    return await Promise.race([work(controller.signal), late])
  } finally {
    clearTimeout(timer)
  }
}
