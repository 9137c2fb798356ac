import type { Logger } from '../../ports/logger.ts'

/** Writes to the console: the only place of the library that does, used when the host gives no logger of its own. */
export const consoleLogger: Logger = {
  // oxlint-disable-next-line no-console -- this adapter is the console
  warn: (fields, message) => console.warn(`outlive: ${message}`, fields),
  // oxlint-disable-next-line no-console -- this adapter is the console
  error: (fields, message) => console.error(`outlive: ${message}`, fields),
}
