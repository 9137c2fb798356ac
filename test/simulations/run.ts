/**
 * `npm run simulate -- --seeds 10000 --steps 500 --minutes 60 --from 1`: the library's own scenario under many seeds, on all
 * cores, until the seeds or the minutes are over. A seed that breaks is told with its shortest story, and the run fails.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { describeReport, simulate, taskTrees } from 'outlive/testing'

/** What a worker does: every `stride`-th seed. */
interface Share {
  readonly from: number
  readonly until: number
  readonly stride: number
  readonly steps: number
  readonly deadlineAt: number
}

type Message =
  | { readonly kind: 'done'; readonly seed: number; readonly facts: number }
  | { readonly kind: 'broken'; readonly seed: number; readonly text: string }

const SHOWN_EVERY_MS = 5_000
/** Mostly two processes; now and then one alone, or many. */
const NODES = [2, 2, 1, 3, 2, 5]
/** Every other seed spares the store, so that the laws about the order of different tasks are asked for. */
const CALM = ['crash', 'stop', 'channelFault', 'jump'] as const

async function work({ from, until, stride, steps, deadlineAt }: Share): Promise<void> {
  for (let seed = from; seed < until && Date.now() < deadlineAt; seed += stride) {
    const nodes = NODES[seed % NODES.length] ?? 2
    const report = await simulate(taskTrees(), { seed, steps, nodes, ...(seed % 2 === 0 ? { faults: CALM } : {}) })
    const message: Message =
      report.breaches.length === 0
        ? { kind: 'done', seed, facts: report.history.length }
        : { kind: 'broken', seed, text: describeReport(report) }
    // The port of a worker has no origin to name.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    parentPort?.postMessage(message)
  }
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
  const workers = availableParallelism()
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
  const take = (message: Message): void => {
    done += 1
    if (message.kind === 'done') facts += message.facts
    else {
      broken.push(message.seed)
      console.log(message.text)
    }
  }
  const runShare = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const share: Share = {
        from: from + index,
        until: from + seeds,
        stride: workers,
        steps,
        deadlineAt: Date.now() + minutes * 60_000,
      }
      const worker = new Worker(new URL(import.meta.url), { workerData: share })
      worker.on('message', take)
      worker.on('error', reject)
      worker.on('exit', () => resolve())
    })

  const progress = setInterval(show, SHOWN_EVERY_MS)
  await Promise.all(Array.from({ length: workers }, (_, index) => runShare(index)))
  clearInterval(progress)
  show()
  if (broken.length > 0) process.exitCode = 1
}

await (isMainThread ? lead() : work(workerData as Share))
