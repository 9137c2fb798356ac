import { Subject } from 'rxjs'
import { map, shareReplay, switchMap } from 'rxjs/operators'
import { expect, test } from 'vitest'
import { toObservable, type Push } from '../../src/events/observable-face.ts'

/** An observable whose pushes a test makes by hand. */
function bench(): {
  readonly errors: unknown[]
  readonly pushes: Push<number>[]
  readonly observable: ReturnType<typeof toObservable<number>>
  closed(): number
} {
  const errors: unknown[] = []
  const pushes: Push<number>[] = []
  let closed = 0
  const observable = toObservable<number>(
    (push) => {
      pushes.push(push)
      return () => void (closed += 1)
    },
    (error) => void errors.push(error),
  )
  return { errors, pushes, observable, closed: () => closed }
}

test('each subscriber opens a stream of its own, and closes it once', () => {
  const { observable, pushes, closed } = bench()
  expect(pushes).toHaveLength(0)
  const one = observable.subscribe()
  const two = observable.subscribe()
  expect(pushes).toHaveLength(2)
  one.unsubscribe()
  one.unsubscribe()
  expect(closed()).toBe(1)
  pushes[1]?.end()
  expect(closed()).toBe(2)
  two.unsubscribe()
  expect(closed()).toBe(2)
})

test('a stream that fails tells its subscriber, or the report when nobody listens for errors', () => {
  const { observable, pushes, errors } = bench()
  const heard: unknown[] = []
  observable.subscribe({ error: (error: unknown) => void heard.push(error) })
  observable.subscribe(() => undefined)
  observable.subscribe()
  for (const push of pushes) push.fail('broken')
  expect(heard).toEqual(['broken'])
  expect(errors).toEqual(['broken', 'broken'])
})

test('callbacks in the old form are guarded as well', () => {
  const { observable, pushes, errors } = bench()
  // oxlint-disable-next-line typescript/no-deprecated -- the old form still compiles, so it is guarded too
  observable.subscribe(
    () => {
      throw new Error('next')
    },
    () => {
      throw new Error('error')
    },
    () => {
      throw new Error('complete')
    },
  )
  pushes[0]?.next(1)
  pushes[0]?.end()
  expect(errors).toMatchObject([{ message: 'next' }, { message: 'complete' }])
})

test('a subject may be the observer, and what its own subscribers throw is its own matter', () => {
  const { observable, pushes, errors } = bench()
  const subject = new Subject<number>()
  const heard: number[] = []
  let isComplete = false
  subject.subscribe({ next: (value) => void heard.push(value), complete: () => void (isComplete = true) })
  observable.subscribe(subject)
  pushes[0]?.next(1)
  pushes[0]?.end()
  expect(heard).toEqual([1])
  expect(isComplete).toBe(true)
  expect(errors).toEqual([])
})

test('the guard stays through any number of operators', () => {
  const { observable, pushes, errors } = bench()
  const heard: number[] = []
  observable
    .pipe(
      map((value) => value * 2),
      switchMap((value) => [value, value + 1]),
      shareReplay({ bufferSize: 1, refCount: true }),
    )
    .subscribe((value) => {
      heard.push(value)
      throw new Error(`callback ${value}`)
    })
  pushes[0]?.next(1)
  pushes[0]?.next(2)
  expect(heard).toEqual([2, 3, 4, 5])
  expect(errors).toHaveLength(4)
})

test('a rejection of a callback is reported, and its later values still come', async () => {
  const { observable, pushes, errors } = bench()
  const heard: number[] = []
  // oxlint-disable-next-line typescript/no-misused-promises -- the mistake that this test is about
  observable.subscribe(async (value) => {
    heard.push(value)
    await Promise.resolve()
    if (value === 1) throw new Error('later')
  })
  pushes[0]?.next(1)
  pushes[0]?.next(2)
  await Promise.resolve()
  await Promise.resolve()
  expect(heard).toEqual([1, 2])
  expect(errors).toMatchObject([{ message: 'later' }])
})
