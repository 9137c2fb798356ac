/**
 * Fills a supervisor to its cap, again and again, while what is kept of finished tasks is as large as the defaults allow:
 * `limited-heap.js MAX_LIVE`. Every live task listens to its signal and says something; the last 500 of a round leave as
 * much output and as large results as are kept.
 */
import { createTaskSupervisor, isTaskError, type TaskContext } from 'outlive'

const ROUNDS = 3
const PER_TURN = 100
/** What the defaults keep of finished tasks: their number, their output, and their share of all results. */
const KEPT = 500
const KEPT_OUTPUT = 65_536
const KEPT_RESULT = Math.floor(67_108_864 / KEPT) - 2

const maxLive = Number(process.argv[2])
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const tasks = createTaskSupervisor({ limits: { maxLive } })

let releases: (() => void)[] = []
const work = {
  name: 'work',
  run: async (n: number, ctx: TaskContext): Promise<string> => {
    const stopped = new Promise<never>((_resolve, reject) => {
      ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
    })
    ctx.progress({ done: 0, total: 1, note: 'half way' })
    ctx.emit('found', { n })
    await Promise.race([stopped, new Promise<void>((resolve) => releases.push(resolve))])
    if (n < maxLive - KEPT) return `result ${n}`
    ctx.output('o'.repeat(KEPT_OUTPUT))
    return 'r'.repeat(KEPT_RESULT)
  },
}

/** Spawns until there is no room. Gives how many fitted. */
async function fill(): Promise<number> {
  for (let n = 0; ; n += 1) {
    try {
      await tasks.spawn(work, n)
    } catch (error) {
      if (isTaskError(error, 'capacity_exceeded')) return n
      throw error
    }
  }
}

for (let round = 0; round < ROUNDS; round += 1) {
  const count = await fill()
  while (releases.length < count) await nextTurn()
  const { heapUsed } = process.memoryUsage()
  console.log(`full with ${count}, ${Math.round(heapUsed / 2 ** 20)} MB`)
  for (const [index, release] of releases.entries()) {
    release()
    if (index % PER_TURN === 0) await nextTurn()
  }
  releases = []
  while ((await tasks.stats()).live > 0) await nextTurn()
}
const { tasks: kept } = await tasks.list({ status: ['completed'], limit: 1 })
const { byStatus } = await tasks.stats()
console.log(`kept ${byStatus.completed} of ${kept[0]?.resultBytes} bytes`)
console.log(`report ${JSON.stringify(await tasks.shutdown())}`)
