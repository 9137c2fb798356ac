/**
 * The log of one deployment as this process knows it: its name, and what the server does for it.
 *
 * The name is made once and kept in Redis. When it is gone, because everything was flushed or another server has taken over
 * that never had it, the log begins anew under another name.
 */
import { randomUUID } from 'node:crypto'
import type { RedisCall } from './connection.ts'
import type { KeySpace } from './keys.ts'
import { refused } from './redis-errors.ts'
import { OPEN_SCRIPT } from './scripts/open-script.ts'
import { runScript } from './scripts/script.ts'
import { checkServer, type ServerFacts } from './server-check.ts'

/** Raised when keys are written in another way that older versions would misread. */
const FORM = '1'

export interface Log {
  incarnation(): string
  facts(): ServerFacts | undefined
  /** Asks the server all it has to be asked. */
  open(call: RedisCall): Promise<ServerFacts>
  /** Finds out whether the log is still the same one; makes a new one when there is none. */
  refresh(call: RedisCall): Promise<void>
}

export function createLog(keys: KeySpace): Log {
  // Until the log was seen no cursor of it can be known to be good.
  let incarnation: string = randomUUID()
  let facts: ServerFacts | undefined

  const begin = async (call: RedisCall): Promise<void> => {
    const [name, form] = (await runScript(call, keys, OPEN_SCRIPT, [incarnation, FORM])) as readonly string[]
    if (form !== FORM)
      throw refused(`The keys were written in form ${form} by another version of outlive; this one knows ${FORM}.`)
    if (name !== undefined) incarnation = name
  }

  return {
    incarnation: () => incarnation,
    facts: () => facts,
    async open(call) {
      facts = await checkServer(call)
      await begin(call)
      return facts
    },
    async refresh(call) {
      const name = await call('GET', [keys.incarnation])
      if (name === incarnation) return
      // Never the old name again: positions start from nothing.
      if (typeof name !== 'string') incarnation = randomUUID()
      await begin(call)
    },
  }
}
