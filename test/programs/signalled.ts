/**
 * A process full of tasks that waits for a signal, and prints a line for whatever happens: `signalled.js SCENARIO FILE`.
 * Every commit of the store is a line of FILE, written before it is answered.
 */
import { appendFileSync } from 'node:fs'
import {
  callbackChannel,
  createTaskSupervisor,
  isTaskError,
  memoryStore,
  shutdownOnSignals,
  type Commit,
  type CommitReply,
  type TaskContext,
  type TaskStore,
} from 'outlive'

const LANES = 8
const [scenario = '', file = ''] = process.argv.slice(2)
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const never = (): Promise<never> => new Promise(() => undefined)

const quick = { name: 'quick', run: nextTurn }
const deaf = { name: 'deaf', run: never }
const polite = {
  name: 'polite',
  run: (_: undefined, { signal }: TaskContext) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
}

let isStoreUp = true
let release = (): void => undefined
const released = new Promise<void>((resolve) => (release = resolve))
const tasks = createTaskSupervisor({
  store: writtenDown(memoryStore()),
  graceMs: scenario === 'abandoned' ? 50 : 30_000,
  commitWaitMs: 50,
  channels: { hole: callbackChannel(never) },
})
const session = tasks.session({ owner: 'ann' })

shutdownOnSignals(tasks, {
  graceMs: scenario === 'patient' ? 600_000 : 200,
  onSignal(signal) {
    print(`heard ${signal}`)
    isStoreUp = scenario !== 'unsaved'
    release()
  },
  onShutdown: (report) => print(`report ${JSON.stringify(report)}`),
})

switch (scenario) {
  case 'load':
    for (let n = 0; n < 50; n += 1) await session.spawn(polite)
    for (let n = 0; n < 20; n += 1) await session.spawn({ name: 'released', run: () => released })
    await fill(() => session.spawn(quick), 1_000)
    break
  case 'patient':
    // What is live may still have children while it is waited for, so commits are under way at any moment.
    await session.spawn(async (_: undefined, ctx) => fill(() => ctx.spawn(quick), 1_000).then(never))
    break
  case 'abandoned':
    await session.spawn(deaf)
    break
  case 'unsaved':
    await session.spawn(polite)
    break
  case 'undelivered':
    await (await session.spawn(async () => 'sent', undefined, { deliverTo: 'hole' })).wait()
    break
  case 'held':
    setInterval(() => undefined, 60_000)
    break
}
if (scenario !== 'patient') print('ready')

/** Spawns in several lanes until it is refused; resolves when so many have started. */
async function fill(spawn: () => Promise<{ readonly taskId: string }>, count: number): Promise<void> {
  let started = 0
  let isFull = (): void => undefined
  const full = new Promise<void>((resolve) => (isFull = resolve))
  const lane = async (): Promise<void> => {
    try {
      for (;;) {
        const { taskId } = await spawn()
        started += 1
        if (scenario === 'patient' && started % 100 === 0) print(`kept ${taskId}`)
        if (started === count) isFull()
        await nextTurn()
      }
    } catch (error) {
      print(`refused ${isTaskError(error) ? error.code : String(error)}`)
    }
  }
  for (let n = 0; n < LANES; n += 1) void lane()
  await full
  if (scenario === 'patient') print('ready')
}

function writtenDown(inner: TaskStore): TaskStore {
  const write = ({ record, events }: Commit): void => {
    const { taskId, version } = record
    const seqs = events.map(({ seq }) => seq)
    appendFileSync(file, `${JSON.stringify({ taskId, version, seqs, filler: 'x'.repeat(500) })}\n`)
  }
  return {
    ...inner,
    commit(commit): CommitReply | Promise<CommitReply> {
      if (!isStoreUp) return never()
      const reply = inner.commit(commit) as CommitReply
      if (reply.kind === 'committed') write(commit)
      return reply
    },
  }
}
