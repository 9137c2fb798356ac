/** Programs of a soak as processes, which end with this one. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { guardProcess } from '../support/guard-process.ts'

export interface Child {
  readonly pid: number
  send(order: object): void
  signal(name: NodeJS.Signals): void
  /** Resolves when it is gone. */
  readonly ended: Promise<void>
}

/** `program` stands beside this file. What it writes to stderr is shown. `onNote` hears what it says unasked. */
export function startChild(program: string, given: object, onNote: (note: unknown) => void): Child {
  // The ending of this file is that of the program: TypeScript as it stands, or JavaScript as it was built.
  const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const file = fileURLToPath(new URL(`./${program}${ending}`, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['--expose-gc', file, JSON.stringify(given)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // A Ctrl-C is for this process, which ends the others in order.
    detached: true,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const { pid = 0 } = child
  const endGuard = guardProcess(pid)
  child.on('error', () => undefined)
  child.on('message', onNote)
  return {
    pid,
    send: (order) => void (child.connected && child.send(order)),
    signal: (name) => void child.kill(name),
    ended: once(child, 'close').then(endGuard),
  }
}
