import { merge, of } from 'rxjs'
import { concatMap, map, share, take, tap } from 'rxjs/operators'
import type { StreamItem } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { collect, setup } from '../support/setup.ts'
import { typesOf, withoutCursors } from '../support/stream-views.ts'

const uncaught: unknown[] = []
const onUncaught = (error: unknown): void => void uncaught.push(error)

beforeEach(() => {
  uncaught.length = 0
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)
})

afterEach(async () => {
  // RxJS rethrows from a timer; give it the time to do so.
  await new Promise((resolve) => setTimeout(resolve, 5))
  process.off('uncaughtException', onUncaught)
  process.off('unhandledRejection', onUncaught)
  // oxlint-disable-next-line vitest/no-standalone-expect -- a failure here is a failure of the test that has just run
  expect(uncaught).toEqual([])
})

/** One task whose whole life is seen by a careless subscriber, and by careful ones beside it. */
async function live(subscribe: (harness: ReturnType<typeof setup>) => void): Promise<{
  readonly harness: ReturnType<typeof setup>
  readonly errors: unknown[]
}> {
  const harness = setup()
  const { ann, tasks, settle } = harness
  const before: StreamItem[] = []
  const after: StreamItem[] = []
  ann.events$().subscribe((item) => void before.push(item))
  subscribe(harness)
  ann.events$().subscribe((item) => void after.push(item))
  const pulled = collect(tasks.operator.events())
  await settle()
  const task = await ann.spawn(() => 'value')
  expect(await task.result()).toBe('value')
  await settle()
  expect(typesOf(before)).toEqual(['queued', 'started', 'completed'])
  expect(after).toEqual(before)
  expect(withoutCursors(pulled.items)).toEqual(withoutCursors(before))
  return { harness, errors: harness.logged.map(({ fields }) => (fields['error'] as Error).message) }
}

test('a callback that throws is reported for each of its throws, goes on, and harms nobody', async () => {
  let calls = 0
  const { errors, harness } = await live(({ ann }) => {
    ann.events$().subscribe(() => {
      calls += 1
      throw new Error(`call ${calls}`)
    })
  })
  expect(errors).toEqual(['call 1', 'call 2', 'call 3'])
  expect((await harness.tasks.operator.stats()).counters.subscriberErrors).toBe(3)
})

test('a callback that rejects is reported once for each rejection', async () => {
  const { errors } = await live(({ ann }) => {
    // oxlint-disable-next-line typescript/no-misused-promises -- the mistake that this test is about
    ann.events$({ type: 'task.started' }).subscribe(async () => {
      await Promise.resolve()
      throw new Error('later')
    })
  })
  expect(errors).toEqual(['later'])
})

test('an operator that throws ends its own subscription only, and is reported once when nobody catches it', async () => {
  let seen = 0
  const { errors, harness } = await live(({ ann }) => {
    ann
      .events$()
      .pipe(
        map((item) => {
          throw new Error(`map of ${item.type}`)
        }),
      )
      .subscribe(() => void (seen += 1))
  })
  expect(errors).toEqual(['map of task.queued'])
  expect(seen).toBe(0)
  await (await harness.ann.spawn(() => 2)).wait()
  expect(harness.logged).toHaveLength(1)
})

test('the error of an operator goes to the subscriber that handles it, and is not reported', async () => {
  const handled: unknown[] = []
  const { errors } = await live(({ ann }) => {
    ann
      .events$()
      .pipe(
        tap(() => {
          throw new Error('in tap')
        }),
      )
      .subscribe({ error: (error: unknown) => void handled.push((error as Error).message) })
  })
  expect(handled).toEqual(['in tap'])
  expect(errors).toEqual([])
})

test('a throwing subscriber of a shared stream leaves the other subscribers of it alone', async () => {
  const other: StreamItem[] = []
  const { errors } = await live(({ ann }) => {
    const shared = ann.events$().pipe(share())
    shared.subscribe(() => {
      throw new Error('in share')
    })
    shared.subscribe((item) => void other.push(item))
  })
  expect(errors).toEqual(['in share', 'in share', 'in share'])
  expect(typesOf(other)).toEqual(['queued', 'started', 'completed'])
})

test('an operator that throws above a shared stream is reported by each of its subscribers and by no exception', async () => {
  const { errors } = await live(({ ann }) => {
    const shared = ann.events$().pipe(
      map(() => {
        throw new Error('above share')
      }),
      share(),
    )
    shared.subscribe(() => undefined)
    shared.subscribe({ next: () => undefined })
  })
  expect(errors).toEqual(['above share', 'above share'])
})

test('an error callback, a complete callback or a teardown that throws is reported and harms nobody', async () => {
  const { errors } = await live(({ ann }) => {
    ann
      .events$()
      .pipe(
        map(() => {
          throw new Error('operator')
        }),
      )
      .subscribe({
        error: () => {
          throw new Error('error callback')
        },
      })
    ann
      .events$()
      .pipe(take(1))
      .subscribe({
        complete: () => {
          throw new Error('complete callback')
        },
      })
  })
  expect(new Set(errors)).toEqual(new Set(['complete callback', 'error callback']))
  expect(errors).toHaveLength(2)
})

test('a callback that throws something other than an error is reported as it is', async () => {
  const harness = setup()
  const thrown = [undefined, null, 'text', { code: 7 }]
  harness.ann.events$().subscribe(() => {
    throw thrown.shift() as unknown as Error
  })
  await harness.settle()
  await (await harness.ann.spawn(() => 1)).wait()
  await harness.settle()
  expect(harness.logged.map(({ fields }) => fields['error'])).toEqual([undefined, null, 'text'])
})

test('a subscriber of the live set that throws is reported, and the set goes on', async () => {
  const harness = setup()
  const { ann, settle } = harness
  const sizes: number[] = []
  ann.live$.subscribe((tasks) => {
    sizes.push(tasks.length)
    throw new Error('in live')
  })
  const task = await ann.spawn(controllableTool('work', { honoursSignal: true }).tool)
  await settle()
  await task.cancel()
  await settle()
  expect(sizes[0]).toBe(0)
  expect(sizes).toContain(1)
  expect(sizes.at(-1)).toBe(0)
  expect(harness.logged.length).toBe(sizes.length)
})

test('a subscription that ends itself inside its own callback is told nothing more', async () => {
  const seen: string[] = []
  const { errors } = await live(({ ann }) => {
    const subscription = ann.events$().subscribe((item) => {
      seen.push(item.type)
      subscription.unsubscribe()
    })
    ann
      .events$()
      .pipe(
        concatMap((item) => of(item, item)),
        take(3),
      )
      .subscribe((item) => void seen.push(`twice ${item.type}`))
    merge(ann.events$({ type: 'task.completed' })).subscribe((item) => void seen.push(`merged ${item.type}`))
  })
  expect(errors).toEqual([])
  expect(seen).toEqual([
    'task.queued',
    'twice task.queued',
    'twice task.queued',
    'twice task.started',
    'merged task.completed',
  ])
})

test('a logger that throws harms nobody either', async () => {
  const { ann, settle } = setup({
    logger: {
      warn: () => undefined,
      error: () => {
        throw new Error('in the logger')
      },
    },
  })
  const other: StreamItem[] = []
  ann.events$().subscribe(() => {
    throw new Error('in a callback')
  })
  ann.events$().subscribe((item) => void other.push(item))
  await settle()
  const task = await ann.spawn(() => 'value')
  expect(await task.result()).toBe('value')
  await settle()
  expect(typesOf(other)).toEqual(['queued', 'started', 'completed'])
})
