/**
 * Real Redis servers for tests and benchmarks: on a free port and in a folder of their own, killed, paused and started again
 * at will.
 *
 * A server ends when `undo` is called, and with the process that started it, however that ends: a shell beside it waits for
 * the end of a pipe that only this process holds open.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { SCRATCH } from './repository.ts'

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** A client beside those that are looked at, for looking around and for breaking things. */
  readonly client: Redis
  /** Ends it as a crash does. */
  kill(): Promise<void>
  pause(): void
  resume(): void
  /** Starts it again, on the same port and with what is in its folder. */
  start(): Promise<void>
}

const WATCHDOG = `
  folder=$1; shift
  trap "" INT TERM HUP
  redis-server "$@" 3<&- & server=$!
  echo $server
  (cat >/dev/null; kill -9 $server; rm -rf "$folder") <&3 & guard=$!
  wait $server
  kill -9 $guard
`

function requireServer(): void {
  const { error } = spawnSync('redis-server', ['--version'])
  if (error !== undefined) throw new Error('This needs redis-server on the PATH: apt-get install redis-server')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** `settings` are those of redis.conf. Nothing is kept on disk unless they say so. `onEnd` is given what ends it. */
export async function launchRedis(
  settings: Readonly<Record<string, string>>,
  onEnd: (undo: () => Promise<void>) => void,
): Promise<RedisServer> {
  requireServer()
  mkdirSync(SCRATCH, { recursive: true })
  const folder = mkdtempSync(join(SCRATCH, 'redis-'))
  const port = await freePort()
  const given = { save: '', appendonly: 'no', ...settings, port: String(port), bind: '127.0.0.1', dir: folder }
  const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, value])
  let watchdog: ChildProcess | undefined
  let pid = 0

  const isUp = async (): Promise<boolean> => {
    const connecting = { port, lazyConnect: true, retryStrategy: null, enableReadyCheck: false }
    const probe = new Redis({ ...connecting, ...passwordOf(settings) })
    probe.on('error', () => undefined)
    try {
      await probe.connect()
      await probe.ping()
      return true
    } catch {
      // Not yet.
      return false
    } finally {
      probe.disconnect()
    }
  }

  const start = async (): Promise<void> => {
    const started = spawn('sh', ['-c', WATCHDOG, 'watchdog', folder, ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // A Ctrl-C at the terminal is not for it.
      detached: true,
    })
    watchdog = started
    let said = ''
    started.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text))
    while (!said.includes('\n')) await new Promise((resolve) => setTimeout(resolve, 5))
    pid = Number(said.split('\n')[0])
    while (!(await isUp())) {
      if (started.exitCode !== null) throw new Error(`redis-server did not start:\n${said}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  const kill = async (): Promise<void> => {
    if (watchdog === undefined || watchdog.exitCode !== null) return
    const ended = once(watchdog, 'exit')
    process.kill(pid, 'SIGKILL')
    await ended
    // What the shell has left waits for the end of these, and this process for what it has left.
    for (const stream of watchdog.stdio) stream?.destroy()
  }

  await start()
  const client = new Redis({ port, retryStrategy: () => 50, ...passwordOf(settings) })
  client.on('error', () => undefined)
  onEnd(async () => {
    client.disconnect()
    await kill()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    kill,
    start,
    pause: () => void process.kill(pid, 'SIGSTOP'),
    resume: () => void process.kill(pid, 'SIGCONT'),
  }
}

function passwordOf({ requirepass }: Readonly<Record<string, string>>): { password?: string } {
  return requirepass === undefined ? {} : { password: requirepass }
}
