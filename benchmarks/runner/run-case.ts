/** Runs one case in a fresh process, and gives the rows that it hands over. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Case } from '../cases/case.ts'
import type { Row } from '../reporting.ts'

/** Rejects when the process ends without its rows, or when the signal is aborted; the process is ended then. */
export function runCase({ file, arguments: given }: Case, signal: AbortSignal): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    let rows: readonly Row[] | undefined
    const child = fork(fileURLToPath(new URL(`../${file}`, import.meta.url)), given, { execArgv: ['--expose-gc'] })
    const stop = (): void => void child.kill()
    signal.addEventListener('abort', stop, { once: true })
    child.once('message', (message) => {
      rows = message as readonly Row[]
    })
    child.once('error', reject)
    child.once('exit', (code) => {
      signal.removeEventListener('abort', stop)
      if (signal.aborted) reject(signal.reason as Error)
      else if (rows !== undefined && code === 0) resolve(rows)
      else reject(new Error(`${file} ${given.join(' ')} ended with ${code} and without measurements`))
    })
  })
}
