import { expect, test } from 'vitest'
import { createHub } from '../../src/events/hub.ts'
import { createTestHub, entryOf } from '../support/published.ts'

test('a fact reaches the listeners of its task, of its owner and of all, and no others', () => {
  const { hub } = createTestHub()
  const heard: string[] = []
  const note = (who: string) => (): void => void heard.push(who)
  hub.onTask('a', note('task a'))
  hub.onTask('b', note('task b'))
  hub.onOwner('ann', note('ann'))
  hub.onOwner('bob', note('bob'))
  hub.onAll(note('all'))
  hub.publish([entryOf({ taskId: 'a', owner: 'ann' })])
  expect(heard).toEqual(['task a', 'ann', 'all'])
  hub.publish([])
  expect(heard).toHaveLength(3)
})

test('names that every object has are names like any other', () => {
  const { hub } = createTestHub()
  const heard: string[] = []
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
    hub.onTask(name, ({ event }) => void heard.push(`task ${event.taskId}`))
    hub.onOwner(name, ({ event }) => void heard.push(`owner ${event.owner}`))
    hub.publish([entryOf({ taskId: name, owner: name })])
  }
  expect(heard).toHaveLength(10)
})

test('all listeners are told in one order, although one of them causes the next fact', () => {
  const { hub } = createTestHub()
  const first: number[] = []
  const second: number[] = []
  hub.onOwner('ann', ({ event }) => {
    first.push(event.seq)
    if (event.seq < 4) hub.publish([entryOf({ seq: event.seq + 1 })])
  })
  hub.onOwner('ann', ({ event }) => void second.push(event.seq))
  hub.publish([entryOf({ seq: 1 })])
  expect([first, second]).toEqual([
    [1, 2, 3, 4],
    [1, 2, 3, 4],
  ])
})

test('an end that a fact causes is told after the fact', () => {
  const { hub } = createTestHub()
  const order: string[] = []
  hub.onDeparture('b', (departure) => {
    order.push(
      departure.kind === 'ended'
        ? `end of ${departure.record.taskId} ${departure.isSaved}`
        : `${departure.taskId} left`,
    )
  })
  hub.onTask('a', () => hub.publish([entryOf({ taskId: 'b', endedAt: 1 })]))
  hub.onAll(({ event }) => void order.push(`fact of ${event.taskId}`))
  hub.publish([entryOf({ taskId: 'a' })])
  hub.releaseEnd(entryOf({ taskId: 'b', endedAt: 1 }).record)
  expect(order).toEqual(['fact of a', 'fact of b', 'end of b true', 'end of b false'])
})

test('who waits for a task hears that it has left, and nobody else does', () => {
  const { hub } = createTestHub()
  const heard: unknown[] = []
  hub.onDeparture('a', (departure) => void heard.push(departure))
  hub.onAll(() => void heard.push('a fact'))
  hub.leave('b', 'ann')
  hub.leave('a', 'ann')
  expect(heard).toEqual([{ kind: 'left', taskId: 'a', owner: 'ann' }])
})

test('a listener that throws is reported once, and the others and the publisher do not notice', () => {
  const { hub, errors } = createTestHub()
  const heard: string[] = []
  hub.onAll(() => {
    throw new Error('careless')
  })
  hub.onAll(({ event }) => void heard.push(event.taskId))
  hub.publish([entryOf({ taskId: 'a' })])
  hub.publish([entryOf({ taskId: 'b' })])
  expect(errors).toMatchObject([{ message: 'careless' }, { message: 'careless' }])
  expect(heard).toEqual(['a', 'b'])
})

test('undoing is possible at any time and twice, and every listener is counted until it is undone', () => {
  const { hub } = createTestHub()
  const heard: string[] = []
  const undo = [
    hub.onTask('a', () => {
      heard.push('one')
      for (const off of undo) off()
    }),
    hub.onTask('a', () => void heard.push('two')),
    hub.onOwner('ann', () => void heard.push('three')),
    hub.onAll(() => void heard.push('four')),
    hub.onDeparture('a', () => void heard.push('end')),
    hub.onPause(() => void heard.push('pause')),
  ]
  expect(hub.listenerCount()).toBe(6)
  hub.publish([entryOf({ endedAt: 1 })])
  hub.pause()
  expect(heard).toEqual(['one'])
  expect(hub.listenerCount()).toBe(0)
  for (const off of undo) off()
  expect(hub.listenerCount()).toBe(0)
})

test('a listener that comes during a fact hears of the next one only', () => {
  const { hub } = createTestHub()
  const heard: number[] = []
  const undo = hub.onTask('a', () => {
    undo()
    hub.onTask('a', ({ event }) => void heard.push(event.seq))
  })
  hub.publish([entryOf({ seq: 1 })])
  hub.publish([entryOf({ seq: 2 })])
  expect(heard).toEqual([2])
})

test('a fact is watched while somebody listens to its task, its owner or all', () => {
  const { hub } = createTestHub()
  expect(hub.isWatched('a', 'ann')).toBe(false)
  for (const listen of [
    () => hub.onTask('a', () => undefined),
    () => hub.onOwner('ann', () => undefined),
    () => hub.onAll(() => undefined),
  ]) {
    const off = listen()
    expect(hub.isWatched('a', 'ann')).toBe(true)
    off()
    expect(hub.isWatched('a', 'ann')).toBe(false)
  }
  hub.onTask('b', () => undefined)
  hub.onDeparture('a', () => undefined)
  expect(hub.isWatched('a', 'ann')).toBe(false)
})

test('an ephemeral fact has no cursor and says so; a committed one has a cursor', () => {
  const { hub } = createTestHub()
  const heard: (string | boolean | undefined)[][] = []
  hub.onAll(({ event }) => void heard.push([event.ephemeral, typeof event.cursor]))
  hub.publishEphemeral(entryOf())
  hub.publish([entryOf()])
  expect(heard).toEqual([
    [true, 'undefined'],
    [undefined, 'string'],
  ])
})

test('listeners run outside of whatever task published', () => {
  let depth = 0
  const depths: number[] = []
  const hub = createHub({
    incarnation: () => 'log',
    isLive: () => false,
    runOutside(work) {
      depth += 1
      work()
      depth -= 1
    },
    reportError: () => undefined,
  })
  hub.onAll(() => void depths.push(depth))
  hub.onPause(() => void depths.push(depth))
  hub.publish([entryOf()])
  hub.pause()
  expect(depths).toEqual([1, 1])
  expect(depth).toBe(0)
})
