/**
 * Errors that tell somebody of what happened elsewhere, thousands of times in a burst. Their stack would show the inside of the
 * library and nobody's code, and to collect it costs more than the end of the task it is about.
 */

/** Makes an error without a stack. */
export function toldError<Told extends Error>(make: () => Told): Told {
  const { stackTraceLimit } = Error
  // Where intrinsics are frozen this does nothing, and the stack is there.
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}
