/**
 * `npm run simulate -- --seeds 10000 --steps 500 --minutes 60 --from 1`: the library's own scenario under many seeds, on all
 * cores, until the seeds or the minutes are over. A seed that breaks is told with its shortest story and the command that
 * repeats it, one that does not come to rest with the command, and the run fails.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { describeReport, simulate, taskTrees } from 'outlive/testing'

/** What a worker is given to do next: these seeds, one after the other. */
interface Share {
  readonly from: number
  readonly until: number
  readonly steps: number
  readonly deadlineAt: number
}

type Message =
  | { readonly kind: 'done'; readonly seed: number; readonly facts: number }
  | { readonly kind: 'broken'; readonly seed: number; readonly text: string }
  /** All of the share, or as much as there was time for. */
  | { readonly kind: 'idle' }

const SHOWN_EVERY_MS = 5_000
/** A seed that takes longer goes round in circles: most take a tenth of a second. */
const STUCK_MS = 60_000
/** Seeds differ in what they cost, so a worker that was lucky gets more of them. */
const SEEDS_PER_SHARE = 20
/** Mostly two processes; now and then one alone, or many. */
const NODES = [2, 2, 1, 3, 2, 5]
/** Every other seed spares the store, so that the laws about the order of different tasks are asked for. */
const CALM = ['crash', 'stop', 'channelFault', 'jump'] as const
const STACK_LINES = 30

async function runSeed(seed: number, steps: number): Promise<Message> {
  const nodes = NODES[seed % NODES.length] ?? 2
  const report = await simulate(taskTrees(), { seed, steps, nodes, ...(seed % 2 === 0 ? { faults: CALM } : {}) })
  return report.breaches.length === 0
    ? { kind: 'done', seed, facts: report.history.length }
    : { kind: 'broken', seed, text: describeReport(report) }
}

/** A seed that throws runs once more, to see where. */
async function tryOut(seed: number, steps: number): Promise<Message> {
  // In a simulation errors are what is drawn, by the thousand, and nobody reads where they were made.
  Error.stackTraceLimit = 0
  try {
    return await runSeed(seed, steps)
  } catch {
    Error.stackTraceLimit = STACK_LINES
    try {
      return await runSeed(seed, steps)
    } catch (error) {
      return {
        kind: 'broken',
        seed,
        text: `Seed ${seed} throws: ${error instanceof Error ? error.stack : String(error)}`,
      }
    }
  }
}

function work(): void {
  const tell = (message: Message): void => {
    // The port of a worker has no origin to name.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    parentPort?.postMessage(message)
  }
  const take = async ({ from, until, steps, deadlineAt }: Share): Promise<void> => {
    for (let seed = from; seed < until && Date.now() < deadlineAt; seed += 1) tell(await tryOut(seed, steps))
    tell({ kind: 'idle' })
  }
  parentPort?.on('message', (share: Share) => void take(share))
}

async function lead(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      steps: { type: 'string', default: '500' },
      minutes: { type: 'string', default: '5' },
      from: { type: 'string', default: '1' },
    },
  })
  const [seeds, steps, minutes, from] = [values.seeds, values.steps, values.minutes, values.from].map(Number) as [
    number,
    number,
    number,
    number,
  ]
  const startedMs = performance.now()
  const deadlineAt = Date.now() + minutes * 60_000
  const until = from + seeds
  let next = from
  let done = 0
  let facts = 0
  const broken: number[] = []
  const show = (): void => {
    const seconds = (performance.now() - startedMs) / 1_000
    const rate = Math.round((done * steps) / seconds)
    console.log(
      `${done} of ${seeds} seeds, ${rate} steps a second, ${facts} facts, ${Math.round(seconds)} s, broken: ${broken.join(', ') || 'none'}`,
    )
  }
  const take = (message: Exclude<Message, { kind: 'idle' }>): void => {
    done += 1
    if (message.kind === 'done') facts += message.facts
    else {
      broken.push(message.seed)
      console.log(message.text)
      console.log(`\nOnce more: npm run simulate -- --from ${message.seed} --seeds 1 --steps ${steps}\n`)
    }
  }
  const runWorker = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url))
      let seed = from
      let heardAtMs = performance.now()
      const watchdog = setInterval(() => {
        if (performance.now() - heardAtMs < STUCK_MS) return
        take({ kind: 'broken', seed, text: `Seed ${seed} does not come to rest.` })
        void worker.terminate()
      }, SHOWN_EVERY_MS)
      const giveShare = (): void => {
        if (next >= until || Date.now() >= deadlineAt) return void worker.terminate()
        const share: Share = { from: next, until: Math.min(next + SEEDS_PER_SHARE, until), steps, deadlineAt }
        next = share.until
        seed = share.from
        // A worker has no origin to name.
        // oxlint-disable-next-line unicorn/require-post-message-target-origin
        worker.postMessage(share)
      }
      worker.on('message', (message: Message) => {
        heardAtMs = performance.now()
        if (message.kind === 'idle') return giveShare()
        take(message)
        seed = message.seed + 1
      })
      worker.on('error', reject)
      worker.on('exit', () => {
        clearInterval(watchdog)
        resolve()
      })
      giveShare()
    })

  const progress = setInterval(show, SHOWN_EVERY_MS)
  await Promise.all(Array.from({ length: availableParallelism() }, runWorker))
  clearInterval(progress)
  show()
  if (done < seeds) console.log(`The time was over: ${seeds - done} seeds have not run.`)
  const { user, system } = process.cpuUsage()
  console.log(`${Math.round((user + system) / (done * steps))} us of CPU time a step, all included.`)
  if (broken.length > 0 || done === 0) process.exitCode = 1
}

await (isMainThread ? lead() : work())
