import type { StreamItem, TaskEvent, TaskEventType } from 'outlive'
import { verifyLog, type LawBreach } from 'outlive/testing'
import { expect, test } from 'vitest'

type Fields = Partial<
  Record<keyof TaskEvent | 'attempt' | 'parentId' | 'parent' | 'onParentEnd' | 'key' | 'failure' | 'state', unknown>
>

/** Writes logs of a few tasks, number by number. */
function scribe() {
  const numbers = new Map<string, number>()
  return (taskId: string, type: TaskEventType, fields: Fields = {}): StreamItem => {
    const seq = typeof fields['seq'] === 'number' ? fields['seq'] : (numbers.get(taskId) ?? 0) + 1
    numbers.set(taskId, seq)
    const base = { taskId, seq, epoch: 1, at: 0, owner: 'ann', tool: 'work', rootId: taskId, depth: 0 }
    const own =
      type === 'task.started' ? { attempt: 1 } : type === 'task.retrying' ? { failure: { code: 'tool_error' } } : {}
    return { ...base, type, ...own, ...fields } as unknown as StreamItem
  }
}

const below = (parentId: string, depth = 1, rootId = parentId): Fields => ({ parentId, rootId, depth })

function soundTree(): StreamItem[] {
  const write = scribe()
  return [
    write('root', 'task.queued'),
    write('root', 'task.started'),
    write('child', 'task.queued', below('root')),
    write('child', 'task.started', below('root')),
    write('child', 'task.output', below('root')),
    write('root', 'task.stopping'),
    write('child', 'task.stopping', below('root')),
    write('child', 'task.cancelled', below('root')),
    write('root', 'task.cancelled'),
  ]
}

/** The same log, in which a task may go on after its parent's end. */
function letGo(log: readonly StreamItem[], taskId: string): StreamItem[] {
  return log.map((item) =>
    item.type === 'task.queued' && item.taskId === taskId ? { ...item, onParentEnd: 'detach' } : item,
  )
}

function lawsOf(log: readonly StreamItem[], options?: Parameters<typeof verifyLog>[1]): LawBreach['law'][] {
  return verifyLog(log, options).map(({ law }) => law)
}

test('sound logs have no breach', () => {
  const write = scribe()
  expect(verifyLog([])).toEqual([])
  expect(verifyLog(soundTree())).toEqual([])
  expect(
    verifyLog([
      write('a', 'task.queued'),
      write('b', 'task.queued'),
      write('b', 'task.cancelled'),
      write('a', 'task.started'),
      write('a', 'task.completed'),
    ]),
  ).toEqual([])
})

test('a log without any one of its events is not sound', () => {
  const log = soundTree()
  for (const index of log.keys()) expect(verifyLog(log.toSpliced(index, 1)), `without event ${index}`).not.toEqual([])
})

test('a log with any one of its events twice is not sound', () => {
  const log = soundTree()
  for (const [index, item] of log.entries()) {
    expect(verifyLog(log.toSpliced(index, 0, item)), `event ${index} twice`).not.toEqual([])
  }
})

test('law 1: a number that is skipped, repeated or goes back', () => {
  for (const seq of [1, 2, 4]) {
    const write = scribe()
    const log = [
      write('a', 'task.queued'),
      write('a', 'task.started'),
      write('a', 'task.output', { seq }),
      write('a', 'task.completed'),
    ]
    expect(verifyLog(log)).toEqual([{ law: 1, taskId: 'a', message: `number ${seq} follows number 2` }])
  }
})

test('law 1: a gap that was announced is none, but numbers still may not go back', () => {
  const gap: StreamItem = { type: 'stream.gap', from: 3, to: 7 }
  const write = scribe()
  const head = [write('a', 'task.queued'), write('a', 'task.started')]
  expect(lawsOf([...head, gap, write('a', 'task.completed', { seq: 8 })])).toEqual([])
  expect(lawsOf([...head, gap, write('a', 'task.completed', { seq: 2 })])).toEqual([1])
  expect(lawsOf([...head, write('a', 'task.completed', { seq: 8 })])).toEqual([1])
})

test('law 2: anything after the terminal event, a second terminal event above all', () => {
  for (const type of ['task.completed', 'task.failed', 'task.cancelled', 'task.output'] as const) {
    const write = scribe()
    const log = [write('a', 'task.queued'), write('a', 'task.started'), write('a', 'task.completed'), write('a', type)]
    expect(verifyLog(log)).toEqual([{ law: 2, taskId: 'a', message: `${type} follows the terminal event` }])
  }
})

test('law 2: a complete log that lacks a terminal event', () => {
  const log = soundTree().slice(0, -1)
  expect(verifyLog(log)).toEqual([{ law: 2, taskId: 'root', message: 'the log ends without its terminal event' }])
  expect(verifyLog(log, { isComplete: false })).toEqual([])
})

test('law 3: a log that begins with another event or another number', () => {
  const write = scribe()
  const log = [write('a', 'task.started', { seq: 2 }), write('a', 'task.completed')]
  expect(lawsOf(log)).toEqual([3])
  expect(lawsOf(log, { isPartial: true })).toEqual([])
  const other = scribe()
  expect(lawsOf([other('b', 'task.started'), other('b', 'task.completed')])).toEqual([3])
  const third = scribe()
  expect(lawsOf([third('c', 'task.queued', { seq: 0 }), third('c', 'task.cancelled')])).toEqual([3])
})

test('law 4: a parent that ends before a child it owns', () => {
  const write = scribe()
  const log = [
    write('root', 'task.queued'),
    write('root', 'task.started'),
    write('child', 'task.queued', below('root')),
    write('child', 'task.started', below('root')),
    write('root', 'task.completed'),
    write('child', 'task.completed', below('root')),
  ]
  expect(verifyLog(log)).toEqual([{ law: 4, taskId: 'root', message: 'ended before its child child' }])
  expect(verifyLog(letGo(log, 'child'))).toEqual([])
})

test('law 4: a child of a parent in another process may outlive it once it has been stopped, and not before', () => {
  const end = (child: Fields, endOfParent: readonly TaskEventType[]): LawBreach['law'][] => {
    const write = scribe()
    return lawsOf([
      write('root', 'task.queued'),
      write('root', 'task.started'),
      write('child', 'task.queued', { ...below('root'), ...child }),
      write('child', 'task.started', below('root')),
      ...endOfParent.map((type) => write('root', type)),
      write('child', 'task.cancelled', below('root')),
    ])
  }
  const cancelled = ['task.stopping', 'task.cancelled'] as const
  expect(end({ parent: 'elsewhere' }, cancelled)).toEqual([])
  expect(end({}, cancelled)).toEqual([4])
  expect(end({ parent: 'elsewhere' }, ['task.completed'])).toEqual([4])
  // Its process is gone, and so nobody has stopped anything.
  expect(end({ parent: 'elsewhere' }, ['task.failed'])).toEqual([4])
  expect(end({ parent: 'elsewhere', onParentEnd: 'cancel' }, ['task.completed'])).toEqual([])
  expect(end({ parent: 'elsewhere', onParentEnd: 'cancel' }, ['task.failed'])).toEqual([4])
  expect(end({ onParentEnd: 'cancel' }, ['task.completed'])).toEqual([4])
  // What was stopped with an attempt is not waited for by the next one.
  const attempts = ['task.stopping', 'task.retrying', 'task.started', 'task.completed'] as const
  const numbers = [{}, { attempt: 1, failure: { code: 'timeout' } }, { attempt: 2 }, {}]
  const write = scribe()
  const log = (child: Fields): StreamItem[] => [
    write('root', 'task.queued'),
    write('root', 'task.started'),
    write('child', 'task.queued', { ...below('root'), ...child }),
    write('child', 'task.started', below('root')),
    ...attempts.map((type, index) => write('root', type, numbers[index])),
    write('child', 'task.cancelled', below('root')),
  ]
  expect(lawsOf(log({ parent: 'elsewhere' }))).toEqual([])
})

test('law 4: a child that comes to be in another process while its parent is stopped is not waited for', () => {
  const born = (child: Fields): LawBreach['law'][] => {
    const write = scribe()
    return lawsOf([
      write('root', 'task.queued'),
      write('root', 'task.started'),
      write('root', 'task.stopping'),
      write('child', 'task.queued', { ...below('root'), ...child }),
      write('root', 'task.cancelled'),
      write('child', 'task.cancelled', below('root')),
    ])
  }
  expect(born({ parent: 'elsewhere' })).toEqual([])
  expect(born({})).toEqual([4])
})

test('law 5: what a stop has yet to reach in another process may start meanwhile, and whatever is below it', () => {
  const starts = (child: Fields): LawBreach['law'][] => {
    const write = scribe()
    return lawsOf([
      write('root', 'task.queued'),
      write('root', 'task.started'),
      write('child', 'task.queued', { ...below('root'), ...child }),
      write('root', 'task.stopping'),
      write('child', 'task.started', below('root')),
      write('leaf', 'task.queued', below('child', 2, 'root')),
      write('leaf', 'task.started', below('child', 2, 'root')),
      write('leaf', 'task.completed', below('child', 2, 'root')),
      write('child', 'task.cancelled', below('root')),
      write('root', 'task.cancelled'),
    ])
  }
  expect(starts({ parent: 'elsewhere' })).toEqual([])
  expect(starts({})).toEqual([5, 5])
})

test('law 5: a task that starts below one that is stopping or final', () => {
  for (const [end, state] of [
    ['task.stopping', 'stopping'],
    ['task.cancelled', 'final'],
  ] as const) {
    const write = scribe()
    const log = [
      write('root', 'task.queued'),
      write('root', 'task.started'),
      write('child', 'task.queued', below('root')),
      write('root', end),
      write('child', 'task.started', below('root')),
    ]
    expect(verifyLog(log, { isComplete: false }).filter(({ law }) => law === 5)).toEqual([
      { law: 5, taskId: 'child', message: `started below root, which was ${state}` },
    ])
    expect(lawsOf(letGo(log, 'child'), { isComplete: false })).toEqual([])
  }
})

test('law 5: the stop of a task reaches through the generations below it', () => {
  const write = scribe()
  const log = [
    write('root', 'task.queued'),
    write('middle', 'task.queued', below('root')),
    write('leaf', 'task.queued', below('middle', 2, 'root')),
    write('root', 'task.stopping'),
    write('leaf', 'task.started', below('middle', 2, 'root')),
  ]
  expect(verifyLog(log, { isComplete: false })).toEqual([
    { law: 5, taskId: 'leaf', message: 'started below root, which was stopping' },
  ])
  expect(lawsOf(letGo(log, 'middle'), { isComplete: false })).toEqual([])
})

test('laws 4 and 5 are not asked of what may have been told in another order, but for the end of a task', () => {
  const write = scribe()
  const log = [
    write('root', 'task.queued'),
    write('root', 'task.started'),
    write('child', 'task.queued', below('root')),
    write('root', 'task.retrying', { attempt: 1 }),
    write('child', 'task.started', below('root')),
    write('root', 'task.started', { attempt: 2 }),
    write('child', 'task.completed', below('root')),
    write('root', 'task.completed'),
  ]
  expect(lawsOf(log)).toEqual([4, 5])
  expect(lawsOf(log, { isReordered: true })).toEqual([])
  expect(lawsOf([...log.slice(0, 6), ...log.slice(6).toReversed()], { isReordered: true })).toEqual([4])
})

test('law 6: a child at a wrong depth or in another tree, and a root that is none', () => {
  for (const place of [below('root', 2), below('root', 0), below('root', 1, 'elsewhere')]) {
    const write = scribe()
    expect(lawsOf([write('root', 'task.queued'), write('child', 'task.queued', place)], { isComplete: false })).toEqual(
      [6],
    )
  }
  for (const place of [{ depth: 1 }, { rootId: 'elsewhere' }]) {
    expect(lawsOf([scribe()('root', 'task.queued', place)], { isComplete: false })).toEqual([6])
  }
})

test('law 7: an epoch that goes back, an attempt that does not follow the last', () => {
  const write = scribe()
  const epochs = [
    write('a', 'task.queued', { epoch: 2 }),
    write('a', 'task.started', { epoch: 1 }),
    write('a', 'task.completed', { epoch: 1 }),
  ]
  expect(verifyLog(epochs)).toEqual([{ law: 7, taskId: 'a', message: 'epoch 1 follows epoch 2' }])
  for (const attempt of [1, 2, 4]) {
    const again = scribe()
    const attempts = [
      again('b', 'task.queued'),
      again('b', 'task.started'),
      again('b', 'task.started', { attempt: 2 }),
      again('b', 'task.started', { attempt }),
      again('b', 'task.completed'),
    ]
    expect(verifyLog(attempts)).toEqual([{ law: 7, taskId: 'b', message: `attempt ${attempt} follows attempt 2` }])
  }
  const second = scribe()
  const late = [second('d', 'task.queued'), second('d', 'task.started', { attempt: 2 }), second('d', 'task.completed')]
  expect(verifyLog(late)).toEqual([{ law: 7, taskId: 'd', message: 'attempt 2 follows attempt 0' }])
  expect(lawsOf(late, { isPartial: true })).toEqual([])
  const rising = scribe()
  expect(
    verifyLog([
      rising('c', 'task.queued'),
      rising('c', 'task.started'),
      rising('c', 'task.started', { attempt: 2, epoch: 2 }),
      rising('c', 'task.completed', { epoch: 2 }),
    ]),
  ).toEqual([])
})

test('law 9: a question that was open when the process of its task was lost may be asked again, a settled one may not', () => {
  const logOf = (lost: readonly { readonly code: string }[], settled: boolean): StreamItem[] => {
    const write = scribe()
    return [
      write('a', 'task.queued'),
      write('a', 'task.started'),
      write('a', 'task.asked', { key: 'go' }),
      ...(settled ? [write('a', 'task.answered', { key: 'go' }), write('a', 'task.resumed')] : []),
      ...lost.map((failure) => write('a', 'task.retrying', { attempt: 1, failure })),
      write('a', 'task.started', { attempt: 2 }),
      write('a', 'task.asked', { key: 'go' }),
      write('a', 'task.answered', { key: 'go' }),
      write('a', 'task.resumed'),
      write('a', 'task.completed'),
    ]
  }
  expect(lawsOf(logOf([{ code: 'interrupted' }], false))).toEqual([])
  expect(lawsOf(logOf([{ code: 'interrupted' }], true))).toEqual([9])
  expect(lawsOf(logOf([{ code: 'tool_error' }], false))).toEqual([9])
})

test('law 9: a question that is asked twice, settled twice or never asked, and a task that goes on too early', () => {
  const log = (...types: readonly (readonly [TaskEventType, string?])[]): StreamItem[] => {
    const write = scribe()
    return [
      write('a', 'task.queued'),
      write('a', 'task.started'),
      ...types.map(([type, key]) => write('a', type, key === undefined ? {} : ({ key } as Fields))),
      write('a', 'task.completed'),
    ]
  }
  const one = ['task.asked', 'one'] as const
  const two = ['task.asked', 'two'] as const
  const settled = (key: string) => ['task.answered', key] as const
  const resumed = ['task.resumed'] as const
  expect(verifyLog(log(one, two, settled('two'), settled('one'), resumed))).toEqual([])
  // It ended with a question open.
  expect(verifyLog(log(one))).toEqual([])
  expect(lawsOf(log(one, one))).toEqual([9])
  expect(lawsOf(log(one, settled('one'), resumed, one))).toEqual([9])
  expect(lawsOf(log(one, settled('one'), settled('one')))).toEqual([9])
  expect(lawsOf(log(settled('one')))).toEqual([9])
  expect(lawsOf(log(one, two, settled('one'), resumed))).toEqual([9])
  expect(lawsOf(log(settled('one'), resumed).slice(2), { isPartial: true })).toEqual([])
})

/** The log of a task that is tried twice. */
function soundRetries(): StreamItem[] {
  const write = scribe()
  return [
    write('a', 'task.queued'),
    write('a', 'task.started'),
    write('b', 'task.queued', below('a')),
    write('b', 'task.started', below('a')),
    write('a', 'task.stopping'),
    write('b', 'task.cancelled', below('a')),
    write('a', 'task.retrying', { attempt: 1 }),
    write('a', 'task.backgrounded'),
    write('a', 'task.started', { attempt: 2, epoch: 2 }),
    write('c', 'task.queued', below('a')),
    write('c', 'task.started', below('a')),
    write('c', 'task.completed', below('a')),
    write('a', 'task.retrying', { attempt: 2, epoch: 2 }),
    write('a', 'task.started', { attempt: 3, epoch: 3 }),
    write('a', 'task.completed', { epoch: 3 }),
  ]
}

test('a log of attempts is sound, and not without or with twice any one of its events', () => {
  const log = soundRetries()
  expect(verifyLog(log)).toEqual([])
  for (const [index, item] of log.entries()) {
    expect(verifyLog(log.toSpliced(index, 1)), `without event ${index}`).not.toEqual([])
    expect(verifyLog(log.toSpliced(index, 0, item)), `event ${index} twice`).not.toEqual([])
  }
})

test('laws 4 and 5 are not asked of a task whose beginning the log does not have: it may have been let go', () => {
  const write = scribe()
  const log = [
    write('root', 'task.queued'),
    write('root', 'task.started'),
    write('child', 'task.queued', below('root')),
    write('child', 'task.started', below('root')),
    write('root', 'task.completed'),
  ]
  expect(lawsOf(log, { isPartial: true, isComplete: false })).toEqual([4])
  expect(lawsOf(log.toSpliced(2, 1), { isPartial: true, isComplete: false })).toEqual([])
})

test('law 4: an attempt that ends before a child it owns', () => {
  const write = scribe()
  const log = [
    write('a', 'task.queued'),
    write('a', 'task.started'),
    write('b', 'task.queued', below('a')),
    write('b', 'task.started', below('a')),
    write('a', 'task.retrying', { attempt: 1 }),
  ]
  expect(verifyLog(log, { isComplete: false })).toEqual([
    { law: 4, taskId: 'a', message: 'its attempt ended before its child b' },
  ])
  expect(verifyLog(letGo(log, 'b'), { isComplete: false })).toEqual([])
})

test('law 5: a task that starts below one that is between two attempts', () => {
  const write = scribe()
  const log = [
    write('a', 'task.queued'),
    write('a', 'task.started'),
    write('a', 'task.retrying', { attempt: 1 }),
    write('b', 'task.queued', below('a')),
    write('b', 'task.started', below('a')),
  ]
  expect(verifyLog(log, { isComplete: false })).toEqual([
    { law: 5, taskId: 'b', message: 'started below a, which was retrying' },
  ])
})

test('law 7: the end of an attempt that is not the last that started', () => {
  for (const attempt of [0, 2]) {
    const write = scribe()
    const log = [write('a', 'task.queued'), write('a', 'task.started'), write('a', 'task.retrying', { attempt })]
    expect(verifyLog(log, { isComplete: false })).toEqual([
      { law: 7, taskId: 'a', message: `the end of attempt ${attempt} follows the start of attempt 1` },
    ])
  }
})

test('law 8: whatever only running code can bring about, between two attempts', () => {
  for (const type of ['progress', 'output', 'custom', 'usage', 'finishing', 'stopping', 'completed'] as const) {
    const write = scribe()
    const log = [
      write('a', 'task.queued'),
      write('a', 'task.started'),
      write('a', 'task.retrying', { attempt: 1 }),
      write('a', `task.${type}`),
    ]
    expect(verifyLog(log, { isComplete: false })).toEqual([
      { law: 8, taskId: 'a', message: `task.${type} between two attempts` },
    ])
  }
  const twice = scribe()
  const log = [
    twice('a', 'task.queued'),
    twice('a', 'task.started'),
    twice('a', 'task.retrying', { attempt: 1 }),
    twice('a', 'task.retrying', { attempt: 1 }),
  ]
  expect(lawsOf(log, { isComplete: false })).toEqual([8])
})

test('law 8: between two attempts a task may go to the background, come back, be redirected, and end without success', () => {
  for (const end of ['failed', 'cancelled'] as const) {
    const write = scribe()
    expect(
      verifyLog([
        write('a', 'task.queued'),
        write('a', 'task.started'),
        write('a', 'task.retrying', { attempt: 1 }),
        write('a', 'task.backgrounded'),
        write('a', 'task.attached'),
        write('a', 'task.redirected'),
        write('a', `task.${end}`),
      ]),
    ).toEqual([])
  }
})

test('every breach of a log is reported, in the order of the log', () => {
  const write = scribe()
  const log = [
    write('a', 'task.started'),
    write('a', 'task.completed', { seq: 5 }),
    write('a', 'task.output'),
    write('b', 'task.queued', { depth: 3 }),
  ]
  expect(verifyLog(log).map(({ law, taskId }) => [law, taskId])).toEqual([
    [3, 'a'],
    [1, 'a'],
    [2, 'a'],
    [6, 'b'],
    [2, 'b'],
  ])
})

test('law 8: a message that nobody has read bounces at an end between two attempts, and none is read there', () => {
  for (const [state, laws] of [
    ['bounced', []],
    ['read', [8]],
  ] as const) {
    const write = scribe()
    const log = [
      write('a', 'task.queued'),
      write('a', 'task.started'),
      write('a', 'task.retrying', { attempt: 1 }),
      write('a', 'task.message', { state }),
      write('a', 'task.cancelled'),
    ]
    expect(lawsOf(log)).toEqual(laws)
  }
})
