/**
 * How long one commit takes, and how long until a watcher in another process has an event, with a millisecond added each
 * way to all that passes to and from the server. Milliseconds, medians and 99th percentiles. A file has no way to add to.
 */
import { createTaskSupervisor, isTaskEvent } from 'outlive'
import { startFaultProxy } from '../test/support/fault-proxy.ts'
import { readArguments, report } from './reporting.ts'
import { quantile } from './statistics.ts'
import { createCommits } from './store-commits.ts'
import { startPlace, type StoreKind } from './store-place.ts'

const ADDED_MS = 1

const { store: kind = 'redis', events = '200' } = readArguments()
const count = Number(events)
const undos: (() => Promise<void>)[] = []

try {
  const place = await startPlace(kind as StoreKind, (undo) => undos.push(undo))
  let port: number | undefined
  if (place.port !== 0) {
    const proxy = await startFaultProxy(place.port)
    undos.push(proxy.close)
    proxy.delay(ADDED_MS)
    port = proxy.port
  }

  const store = await place.openStore('commits', port)
  const commits: number[] = []
  for (const change of createCommits('bench').firsts(count)) {
    const startedMs = performance.now()
    await store.commit(change)
    commits.push(performance.now() - startedMs)
  }
  await store.close()

  const silent = { warn: () => undefined, error: () => undefined }
  const writing = createTaskSupervisor({ store: await place.openStore('events', port), logger: silent })
  const watching = createTaskSupervisor({ store: await place.openStore('events', port), logger: silent })
  undos.push(async () => void (await Promise.all([writing.shutdown(), watching.shutdown()])))
  const seen: number[] = []
  const items = watching.session({ owner: 'bench' }).events({ after: 'now' })[Symbol.asyncIterator]()
  // Once the first event has come, the watcher is there.
  const task = await writing.session({ owner: 'bench' }).spawn(async (_: undefined, ctx) => {
    const next = async (): Promise<void> => {
      for (;;) {
        const item = await items.next()
        if (item.done === true) throw new Error('the stream has ended')
        if (isTaskEvent(item.value) && item.value.type === 'task.custom') return
      }
    }
    for (let n = 0; n < count; n += 1) {
      const startedMs = performance.now()
      ctx.emit('tick', { n })
      await next()
      seen.push(performance.now() - startedMs)
    }
  }, undefined)
  const { status } = await task.wait({ waitMs: 60_000 })
  if (status !== 'completed' || seen.length !== count) throw new Error(`${seen.length} events, the task is ${status}`)
  await items.return?.()

  report({
    watcherMs: seen,
    watcherP99Ms: quantile(seen, 0.99),
    commitMs: commits,
    commitP99Ms: quantile(commits, 0.99),
  })
} finally {
  for (const undo of undos.reverse()) await undo()
}
