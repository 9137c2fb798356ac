/** Where the library reports what nobody awaits. Any pino-shaped logger fits. */
export interface Logger {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}
