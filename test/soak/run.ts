/**
 * `npm run soak -- --minutes 10 --seed 1`: real processes over a real Redis, under a steady load, with a fault every 30 s;
 * then everything is let come to rest and checked. Progress is told line by line on stderr, the report is Markdown on stdout.
 * Exits with 1 when anything broke. Ctrl-C ends the run, and checks and reports what it has; a second one
 * ends it at once.
 */
import { parseArgs } from 'node:util'
import { toMarkdown } from './report.ts'
import { soak } from './soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '15' },
    'fault-seconds': { type: 'string', default: '30' },
    'lease-ms': { type: 'string', default: '3000' },
  },
})

function numberOf(name: keyof typeof values): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new TypeError(`--${name} has to be a number above 0, and is ${values[name]}`)
  return value
}

const SAME_KEY_MS = 500
const ending = new AbortController()
let firstAtMs = Infinity
const hear = (): void => {
  // A terminal and npm both send it.
  if (performance.now() - firstAtMs > SAME_KEY_MS) process.exit(130)
  if (!ending.signal.aborted) firstAtMs = performance.now()
  ending.abort()
}
process.on('SIGINT', hear)
process.on('SIGTERM', hear)
const say = (line: string): void => void process.stderr.write(`${line}\n`)
const seed = numberOf('seed')
say(`seed ${seed}`)
const report = await soak({
  seed,
  durationMs: numberOf('minutes') * 60_000,
  rate: numberOf('rate'),
  faultEveryMs: numberOf('fault-seconds') * 1_000,
  leaseMs: numberOf('lease-ms'),
  signal: ending.signal,
  say,
})
console.log(toMarkdown(report))
process.exit(report.breaches.length === 0 ? 0 : 1)
