/**
 * How small gzip makes a file, measured by a child process.
 *
 * 1. The call settles when the child is gone, never before: whoever waits for the task has waited for the process.
 * 2. When the task has to stop, the child is killed.
 * 3. A child that fails is followed by another, after a while.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { defineTool, type TaskContext } from 'outlive'
import type { ListedFile } from '../listing.ts'
import type { FileTool } from './file-tool.ts'

/** Node is there wherever this runs, and gzip is not. */
const GZIP = 'process.stdin.pipe(zlib.createGzip()).pipe(process.stdout)'

const MAX_CHILDREN = Math.max(2, availableParallelism() - 1)
const living = new Set<ChildProcess>()

/** `flaky`: so many child processes end at once, as if the machine had no room for them, before one works. */
export function createCompressTool(flaky: number): FileTool {
  let failing = flaky

  const start = (): ChildProcess => {
    failing -= 1
    // In a process group of its own: Ctrl-C in a terminal goes to us, and we decide what becomes of it.
    return spawn(process.execPath, ['-e', failing >= 0 ? 'process.exit(1)' : GZIP], {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    })
  }

  return defineTool({
    name: 'compress',
    policy: {
      // One child process at a time for each key. Who waits for a key needs no slot, so quick calls are not held up.
      concurrencyKey: ({ bytes }) => `gzip ${bytes % MAX_CHILDREN}`,
      onBusy: 'queue',
      retry: { maxAttempts: 4, baseMs: 200 },
    },
    async run(file, ctx) {
      const child = start()
      const whenGone = once(child, 'close')
      const kill = (): void => void child.kill('SIGKILL')
      living.add(child)
      ctx.signal.addEventListener('abort', kill, { once: true })
      try {
        const packedBytes = await pack(file, child, ctx)
        const [exitCode] = (await whenGone) as [number | null]
        if (exitCode !== 0) throw new Error(`gzip ended with code ${exitCode}`)
        return { packedBytes }
      } finally {
        kill()
        ctx.signal.removeEventListener('abort', kill)
        // How it ended is nobody's business any more: either all its output is here, or there is an error already.
        await whenGone.catch(() => undefined)
        living.delete(child)
      }
    },
  })
}

async function pack(file: ListedFile, { stdin, stdout }: ChildProcess, ctx: TaskContext): Promise<number> {
  if (stdin === null || stdout === null) throw new Error('a child process without pipes')
  let done = 0
  const meter = new Transform({
    transform(piece: Buffer, _encoding, next) {
      done += piece.length
      ctx.progress({ done, total: file.bytes })
      next(undefined, piece)
    },
  })
  const source = createReadStream(file.path, { signal: ctx.signal })
  const [packedBytes] = await Promise.all([sizeOf(stdout), pipeline(source, meter, stdin)])
  return packedBytes
}

/** For an end that cannot wait. */
export function killChildren(): void {
  for (const child of living) child.kill('SIGKILL')
}

async function sizeOf(stream: Readable): Promise<number> {
  let bytes = 0
  for await (const piece of stream) bytes += (piece as Buffer).length
  return bytes
}
