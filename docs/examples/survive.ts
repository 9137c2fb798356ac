/**
 * A tree of tasks whose process is killed with -9, and goes on in another one.
 *
 * The first process starts two tasks in a file, tells how far it has read their events, and is killed. The second one opens
 * the file: the task that may run again does, the other one is closed as interrupted, and a reader gets the rest of the
 * events from where the first one stood.
 *
 * `npx tsc -p docs/examples/tsconfig.json && node dist/docs/examples/survive.js`
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createTaskSupervisor, defineTool, isTaskEvent, type StreamItem, type TaskSupervisor } from 'outlive'
import { sqliteStore } from 'outlive/sqlite'

/** Reads one chapter. What it has read is lost with its process. */
const chapter = defineTool({
  name: 'chapter',
  run: async (number: number) => {
    await sleep(300)
    return `chapter ${number}`
  },
})

/** May run again, so it has to be among the tools of every process. */
const book = defineTool({
  name: 'book',
  policy: { recovery: 'rerun' },
  run: async (chapters: number, ctx) => {
    const read: string[] = []
    for (let number = 1; number <= chapters; number += 1) {
      read.push(await (await ctx.spawn(chapter, number)).result())
      ctx.progress({ done: number, total: chapters })
    }
    return `${read.join(', ')} in attempt ${ctx.attempt}`
  },
})

/** Must not be sent twice: it fails with its process. */
const letter = defineTool({ name: 'letter', run: () => sleep(60_000) })

/** A lease this short is for a demonstration: by default a dead process is noticed within 18 s. */
function open(file: string): TaskSupervisor {
  return createTaskSupervisor({ store: sqliteStore(file), tools: [book], leaseMs: 3_000 })
}

function describe(item: StreamItem): string {
  return isTaskEvent(item) ? `${item.tool} ${item.seq} ${item.type}` : item.type
}

/** Starts the tasks and follows their events until it is killed. */
async function first(file: string): Promise<void> {
  const mine = open(file).session({ owner: 'user:ann' })
  await mine.spawn(letter, undefined)
  await mine.spawn(book, 4)
  for await (const item of mine.events()) {
    console.log(`first:  ${describe(item)}`)
    if (isTaskEvent(item)) process.send?.({ cursor: item.cursor, type: item.type })
  }
}

/** Kills the first process when it has read a chapter, and gives the cursor it had reached. */
async function killFirst(file: string): Promise<string> {
  const child = fork(fileURLToPath(import.meta.url), ['first', file])
  let cursor = ''
  const hasReadOne = new Promise<void>((resolve) => {
    child.on('message', (reached: { readonly cursor: string; readonly type: string }) => {
      cursor = reached.cursor
      if (reached.type === 'task.progress') resolve()
    })
  })
  await hasReadOne
  const exit = new Promise((resolve) => void child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
  console.log('The first process was killed.')
  return cursor
}

async function second(file: string, cursor: string): Promise<void> {
  const tasks = open(file)
  const mine = tasks.session({ owner: 'user:ann' })
  const left = (await mine.list()).tasks.filter(({ parentId }) => parentId === undefined)
  for (const { tool, status } of left) console.log(`second: found ${tool}, ${status}`)
  const reading = new AbortController()
  const read = (async () => {
    for await (const item of mine.events({ after: cursor, signal: reading.signal })) {
      console.log(`second: ${describe(item)}`)
    }
  })()
  const ended = await mine.waitAll(left.map(({ taskId }) => taskId))
  for (const { taskId, tool, status, failure } of ended) {
    const result = status === 'completed' ? await mine.result(taskId) : failure?.code
    console.log(`second: ${tool} ${status}: ${String(result)}`)
  }
  await sleep(100)
  reading.abort()
  await read.catch(() => undefined)
  await tasks.shutdown()
}

const [role, given] = process.argv.slice(2)
if (role === 'first' && given !== undefined) await first(given)
else {
  const folder = mkdtempSync(join(tmpdir(), 'survive-'))
  try {
    const file = join(folder, 'tasks.db')
    await second(file, await killFirst(file))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
