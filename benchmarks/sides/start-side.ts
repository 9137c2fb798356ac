/** Starts sides, each a process of its own, and asks them. A side ends with whoever started it: its input ends then. */
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ROOT } from '../root.ts'
import { PEERS, type PeerName } from '../peers/index.ts'
import type { Peer } from '../peers/peer.ts'
import type { Answers, Order, Reply } from './orders.ts'

export type SideName = PeerName | 'stargazer'

/** What is known of a side before it runs. */
export type SideFacts = Pick<Peer, 'title' | 'treeTitle' | 'lacks' | 'hasSignal' | 'maxLive'>

const STARGAZER: SideFacts = {
  title: 'Stargazer task manager (Python, asyncio)',
  lacks: 'signal, tree',
  maxLive: 100_000,
}

export function factsOf(name: SideName): SideFacts {
  return name === 'stargazer' ? STARGAZER : PEERS[name]
}

export interface Side {
  readonly name: SideName
  /** Rejects with what went wrong there, and when it takes longer than the limit; the side is of no use then. */
  ask<Kind extends Order['kind']>(order: Extract<Order, { kind: Kind }>, limitMs?: number): Promise<Answers[Kind]>
  close(): void
}

/** Why a side cannot be started here, if it cannot. */
export function whyNotHere(name: SideName): string | undefined {
  if (name !== 'stargazer') return undefined
  return spawnSync('python3', ['--version']).status === 0 ? undefined : 'there is no python3 here'
}

/** `nodeOptions` are for Node. */
export function startSide(name: SideName, nodeOptions: readonly string[] = []): Side {
  const [command, args] =
    name === 'stargazer'
      ? ['python3', [join(ROOT, 'benchmarks/peers/stargazer.py')]]
      : [process.execPath, ['--expose-gc', ...nodeOptions, fileURLToPath(new URL('side.js', import.meta.url)), name]]
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => reject(new Error(`its process has ended (${signal ?? code})`)))
  })
  // It ends when nobody asks it, too.
  ended.catch(() => undefined)
  child.stdin.on('error', () => undefined)

  return {
    name,
    async ask<Kind extends Order['kind']>(order: Extract<Order, { kind: Kind }>, limitMs = 120_000) {
      child.stdin.write(`${JSON.stringify(order)}\n`)
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`not within ${limitMs / 1_000} s`)), limitMs)
      })
      try {
        const line = await Promise.race([lines.next(), ended, late])
        if (line.done === true) return await ended
        const reply = JSON.parse(line.value) as Reply
        if ('error' in reply) throw new Error(reply.error)
        return reply.value as Answers[Kind]
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => void child.kill('SIGKILL'),
  }
}
