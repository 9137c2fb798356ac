import { isTaskEvent, memoryStore, type StoredEvent, type StreamItem, type TaskHandle, type TaskStore } from 'outlive'
import { controllableTool, verifyLog, type ToolCall } from 'outlive/testing'
import { expect, test } from 'vitest'
import { expectReached, fc } from '../support/properties.ts'
import { collect, setup, type Harness } from '../support/setup.ts'

const RUNS = 40

/** What happens, one after the other; numbers choose among what there is at that moment. */
type Step =
  | { readonly kind: 'spawn' | 'inline' | 'join' | 'turn' | 'settle' }
  | {
      readonly kind:
        | 'emit'
        | 'output'
        | 'progress'
        | 'resolve'
        | 'reject'
        | 'cancel'
        | 'child'
        | 'joinOne'
        | 'leave'
        | 'resume'
      readonly which: number
    }

const which = fc.nat({ max: 1_000 })
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant<'spawn'>('spawn') }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('join', 'turn', 'settle', 'inline') }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('emit', 'output', 'progress'), which }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('resolve', 'reject', 'cancel', 'child'), which }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('joinOne', 'leave', 'resume'), which }) },
  ) as fc.Arbitrary<Step>,
  { minLength: 5, maxLength: 90, size: 'max' },
)

interface Consumer {
  /** Absent: the feed of the owner. */
  readonly taskId: string | undefined
  /** The place it starts after. */
  readonly startsAfter: number
  readonly items: StreamItem[]
  readonly ended: Promise<unknown>
  readonly abort: AbortController
  hasLeft: boolean
}

/** A store that tells at which place of the feed each event was put. */
function recordingStore(): {
  readonly store: TaskStore
  readonly places: { readonly taskId: string; readonly event: StoredEvent }[]
} {
  const inner = memoryStore()
  const places: { readonly taskId: string; readonly event: StoredEvent }[] = []
  const commit: TaskStore['commit'] = (change) => {
    const reply = inner.commit(change)
    if (reply instanceof Promise) throw new Error('the memory store answers at once')
    if (reply.kind === 'committed' && reply.ownerPosition === places.length + 1) {
      for (const event of change.events) places.push({ taskId: change.record.taskId, event })
    }
    return reply
  }
  return { store: { ...inner, commit }, places }
}

async function play(
  script: readonly Step[],
  harness: Harness,
  places: ReturnType<typeof recordingStore>['places'],
): Promise<Consumer[]> {
  const { ann, settle } = harness
  const handles: TaskHandle[] = []
  const work = controllableTool<number>('work', { honoursSignal: true })
  const consumers: Consumer[] = []
  const spawning: Promise<unknown>[] = []

  const keep = (spawn: Promise<TaskHandle>): void => {
    spawning.push(
      spawn.then(
        (handle) => void handles.push(handle),
        // Refused below a parent that is ending.
        () => undefined,
      ),
    )
  }

  const join = (taskId: string | undefined, startsAfter: number, after: string | undefined): void => {
    const abort = new AbortController()
    const filter = { ...(taskId === undefined ? {} : { taskId }), ...(after === undefined ? {} : { after }) }
    const { items, ended } = collect(ann.events({ ...filter, signal: abort.signal }))
    consumers.push({ taskId, startsAfter, items, ended, abort, hasLeft: false })
  }

  /** Goes on where another consumer stands now. */
  const resume = ({ taskId, items, startsAfter }: Consumer): void => {
    const last = items.findLast((item) => isTaskEvent(item) && item.cursor !== undefined)
    if (last === undefined || !isTaskEvent(last)) {
      // It stands where it began, and only the very beginning can be had without a cursor.
      if (startsAfter === 0) join(taskId, 0, undefined)
      return
    }
    const at = places.findIndex(({ taskId: id, event }) => id === last.taskId && event.seq === last.seq) + 1
    join(taskId, taskId === undefined ? at : last.seq, last.cursor)
  }

  const act = (call: ToolCall<number, unknown>, kind: Step['kind'], n: number): void => {
    if (kind === 'emit') call.ctx.emit('tick', n)
    if (kind === 'output') call.ctx.output(`line ${n}\n`)
    if (kind === 'progress') call.ctx.progress({ done: n })
    if (kind === 'resolve') call.resolve(n)
    if (kind === 'reject') call.reject(new Error('broken'))
    if (kind === 'child') keep(call.ctx.spawn(work.tool, n))
  }

  for (const [n, step] of script.entries()) {
    const pick = <Item>(items: readonly Item[]): Item | undefined =>
      'which' in step ? items[step.which % Math.max(1, items.length)] : undefined
    switch (step.kind) {
      case 'spawn':
        keep(ann.spawn(work.tool, n))
        break
      case 'inline':
        await ann.run((_: undefined, ctx) => ctx.emit('inline'), undefined)
        break
      case 'turn':
        await new Promise((resolve) => setImmediate(resolve))
        break
      case 'settle':
        await settle()
        break
      case 'join':
        join(undefined, 0, undefined)
        break
      case 'joinOne': {
        const handle = pick(handles)
        if (handle !== undefined) join(handle.taskId, 0, undefined)
        break
      }
      case 'leave': {
        const consumer = pick(consumers)
        if (consumer === undefined) break
        consumer.hasLeft = true
        consumer.abort.abort()
        break
      }
      case 'resume': {
        const consumer = pick(consumers)
        if (consumer !== undefined) resume(consumer)
        break
      }
      case 'cancel': {
        const handle = pick(handles)
        if (handle !== undefined) spawning.push(handle.cancel())
        break
      }
      case 'emit':
      case 'output':
      case 'progress':
      case 'resolve':
      case 'reject':
      case 'child': {
        const call = pick(work.calls)
        if (call !== undefined) act(call, step.kind, n)
        break
      }
    }
  }
  for (let quiet = 0; quiet < 2; quiet += 1) {
    await settle()
    for (const call of work.calls) call.resolve('end')
  }
  await harness.advance(1_000)
  await Promise.all(spawning)
  await settle()
  // A last one sees everything that is kept.
  join(undefined, 0, undefined)
  await settle()
  return consumers
}

const placed = (items: readonly StreamItem[]): StreamItem[] =>
  items.filter((item) => !(isTaskEvent(item) && item.ephemeral === true))

test('each of many consumers that join, leave and resume at random sees a contiguous slice, and together they see all', async () => {
  let joined = 0
  let resumed = 0
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { store, places } = recordingStore()
      const harness = setup({ store, retention: { maxProgressEvents: 1_000_000, maxFinished: 1_000_000 } })
      const consumers = await play(script, harness, places)
      const whole = places.map(({ taskId, event }) => `${taskId}:${event.seq}`)
      const seen = new Set<string>()
      for (const consumer of consumers) {
        const { taskId, startsAfter, items, hasLeft } = consumer
        const told = placed(items).map((item) => (isTaskEvent(item) ? `${item.taskId}:${item.seq}` : item.type))
        const mine = taskId === undefined ? whole : whole.filter((place) => place.startsWith(`${taskId}:`))
        const rest = mine.slice(startsAfter)
        expect(told).toEqual(hasLeft ? rest.slice(0, told.length) : rest)
        for (const place of told) seen.add(place)
        joined += 1
        if (startsAfter > 0) resumed += 1
      }
      expect(seen).toEqual(new Set(whole))
      const last = consumers.at(-1)
      // Law 5 is about two tasks: a store may take the start of a child after the stop of its parent, which came later.
      expect(verifyLog(placed(last?.items ?? [])).filter(({ law }) => law !== 5)).toEqual([])
    }),
    { numRuns: RUNS },
  )
  expectReached({ joined }, RUNS + 1)
  expectReached({ resumed }, 1)
})

test('where events were trimmed, every consumer is told exactly which, and of nothing that is still kept', async () => {
  let gaps = 0
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { store, places } = recordingStore()
      const harness = setup({ store, retention: { maxProgressEvents: 2, maxFinished: 1_000_000 } })
      const consumers = await play(script, harness, places)
      const { entries } = await store.readFeed({ owner: 'ann', after: 0, limit: 1_000_000 })
      const kept = new Set(entries.map(({ ownerPosition }) => ownerPosition))
      const fresh = new Set(['task.custom', 'task.output', 'task.progress'])

      for (const { taskId, startsAfter, items, hasLeft } of consumers) {
        let place = startsAfter
        const ofTask = places.filter((at) => at.taskId === taskId)
        for (const item of placed(items)) {
          if (item.type === 'stream.gap') {
            gaps += 1
            expect(item.from).toBe(place + 1)
            expect(item.to).toBeGreaterThanOrEqual(item.from)
            for (let gone = item.from; gone <= item.to; gone += 1) {
              const at = taskId === undefined ? places[gone - 1] : ofTask.find(({ event }) => event.seq === gone)
              // Trimmed before it was written, an event of one task never had a place.
              if (at === undefined) expect(taskId).toBeDefined()
              else {
                expect(fresh.has(at.event.type)).toBe(true)
                expect(kept.has(places.indexOf(at) + 1)).toBe(false)
              }
            }
            place = item.to
          } else if (isTaskEvent(item)) {
            place += 1
            const at = taskId === undefined ? places[place - 1] : ofTask.find(({ event }) => event.seq === place)
            expect(`${item.taskId}:${item.seq}`).toBe(`${at?.taskId}:${at?.event.seq}`)
          }
        }
        if (!hasLeft) expect(place).toBe(taskId === undefined ? places.length : (ofTask.at(-1)?.event.seq ?? 0))
      }
    }),
    { numRuns: RUNS },
  )
  expectReached({ gaps }, 1)
})
