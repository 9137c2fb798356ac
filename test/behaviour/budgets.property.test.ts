import { isTaskEvent, type BudgetOptions, type OnParentEnd, type TaskContext } from 'outlive'
import { expect, test } from 'vitest'
import { breachesOf, codeOf, KEEP_ALL, wholeLog } from '../support/branches.ts'
import { expectReached, fc } from '../support/properties.ts'
import { setup, watch } from '../support/setup.ts'

const GRACE_MS = 500

interface Given {
  readonly budget: BudgetOptions | undefined
  readonly deaf: boolean
  readonly onParentEnd: OnParentEnd
}

const amount = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 }))
const limit = fc.option(fc.integer({ min: 1, max: 150 }), { nil: undefined })
const budget = fc
  .record({
    tokens: limit,
    cost: limit,
    spawns: fc.option(fc.nat(6), { nil: undefined }),
    reserve: fc.constantFrom(0, 0.1, 0.5),
  })
  .filter(({ tokens, cost, spawns }) => tokens !== undefined || cost !== undefined || spawns !== undefined)
  .map((given) => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as BudgetOptions)

const at = fc.noBias(fc.nat(20))
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant('spawn' as const),
      at,
      given: fc.record<Given>({
        budget: fc.option(budget, { nil: undefined }),
        deaf: fc.boolean(),
        onParentEnd: fc.constantFrom('wait', 'wait', 'detach'),
      }),
    }),
  },
  { weight: 12, arbitrary: fc.record({ verb: fc.constant('report' as const), at, tokens: amount, cost: amount }) },
  { weight: 2, arbitrary: fc.record({ verb: fc.constantFrom('complete' as const, 'cancel'), at }) },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('pass' as const), at }) },
)

type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never

/** A budget as a reader of the guide would keep it. */
interface Book {
  readonly holder: string
  readonly above: Book | undefined
  readonly granted: { readonly tokens: number; readonly cost: number; readonly spawns: number }
  readonly reserve: number
  readonly spent: { tokens: number; cost: number; spawns: number }
  readonly largest: { tokens: number; cost: number }
}

const chainOf = (book: Book | undefined): Book[] => (book === undefined ? [] : [book, ...chainOf(book.above)])
const leftIn = (book: Book | undefined, what: 'tokens' | 'cost' | 'spawns'): number =>
  Math.min(...chainOf(book).map(({ granted, spent }) => Math.max(0, granted[what] - spent[what])))
const isOverLine = ({ spent, granted, reserve }: Book): boolean =>
  spent.tokens >= granted.tokens * (1 - reserve) || spent.cost >= granted.cost * (1 - reserve)

async function play(commands: readonly Command[], seen: Map<string, number>): Promise<void> {
  const harness = setup({ graceMs: GRACE_MS, timeoutMs: Infinity, retention: KEEP_ALL })
  const { ann, advance, settle } = harness
  const note = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1)
  const books = new Map<string, Book | undefined>()
  const codes = new Map<string, { readonly ctx: TaskContext; resolve(): void }>()
  const detached = new Set<string>()
  const ended = new Set<string>()

  const toolOf = ({ deaf }: Given) => ({
    name: 'work',
    run: (_: undefined, ctx: TaskContext) =>
      new Promise<void>((resolve, reject) => {
        codes.set(ctx.taskId, { ctx, resolve })
        if (!deaf) ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
      }),
  })
  const idAt = (index: number): string => [...codes.keys()][index % Math.max(1, codes.size)] ?? ''

  const spawn = async (index: number, given: Given): Promise<void> => {
    const parent = index % 5 === 0 ? undefined : codes.get(idAt(index))?.ctx
    const above = parent && books.get(parent.taskId)
    const { onParentEnd } = given
    const options = { onParentEnd, ...(given.budget === undefined ? {} : { budget: given.budget }) }
    const shortOf = chainOf(above).some((book) => isOverLine(book))
      ? 'a stop'
      : leftIn(above, 'spawns') <= 0 && 'spawns'
    const outcome = await (parent ?? ann).spawn(toolOf(given), undefined, options).then(
      (task) => task.taskId,
      (error: unknown) => ({ code: codeOf(error) }),
    )
    if (typeof outcome === 'object') {
      note(`refused ${outcome.code}`)
      // Of one that is stopping or has ended either answer is right.
      if (shortOf === false) expect(outcome.code).toBe('parent_stopping')
      return
    }
    expect(shortOf).toBe(false)
    for (const book of chainOf(above)) book.spent.spawns += 1
    const { tokens, cost, spawns, reserve = 0.1 } = given.budget ?? {}
    const grant = (asked: number | undefined, left: number): number =>
      asked === undefined ? Infinity : Math.min(asked, left)
    const own: Book | undefined = given.budget && {
      holder: outcome,
      above,
      granted: {
        tokens: grant(tokens, leftIn(above, 'tokens')),
        cost: grant(cost, leftIn(above, 'cost')),
        spawns: grant(spawns, leftIn(above, 'spawns')),
      },
      reserve,
      spent: { tokens: 0, cost: 0, spawns: 0 },
      largest: { tokens: 0, cost: 0 },
    }
    books.set(outcome, own ?? above)
    if (onParentEnd === 'detach') detached.add(outcome)
    await settle()
  }

  const report = async (index: number, used: { readonly tokens: number; readonly cost: number }): Promise<void> => {
    const ctx = codes.get(idAt(index))?.ctx
    if (ctx === undefined) return
    const isLate = ((await ann.get(ctx.taskId))?.endedAt ?? Infinity) !== Infinity
    let isRefused = false
    try {
      ctx.usage(used)
    } catch (error) {
      expect(codeOf(error)).toBe('budget_exceeded')
      isRefused = true
    }
    if (isLate) return expect(isRefused).toBe(false)
    let mayBeDrawn = true
    for (const { spent, granted, largest } of chainOf(books.get(ctx.taskId))) {
      const has = (['tokens', 'cost'] as const).every((what) => used[what] === 0 || spent[what] < granted[what])
      mayBeDrawn &&= has
      if (!has) continue
      for (const what of ['tokens', 'cost'] as const) {
        spent[what] += used[what]
        largest[what] = Math.max(largest[what], used[what])
      }
    }
    expect(isRefused).toBe(!mayBeDrawn)
    if (isRefused) note('refused a report')
    for (const book of chainOf(books.get(ctx.taskId))) {
      if (!isOverLine(book)) continue
      note('over the line')
      // Whoever reports is stopped, with the holder or with what a parent let go.
      expect(ctx.signal.aborted).toBe(true)
    }
    await settle()
  }

  for (const given of commands) {
    switch (given.verb) {
      case 'spawn':
        await spawn(given.at, given.given)
        break
      case 'report':
        await report(given.at, { tokens: given.tokens, cost: given.cost })
        break
      case 'complete':
        codes.get(idAt(given.at))?.resolve()
        break
      case 'cancel':
        if (codes.size > 0) watch(ann.cancel(idAt(given.at)))
        break
      case 'pass':
        await advance(GRACE_MS)
        break
    }
    await settle()
    for (const [taskId, book] of books) {
      const ctx = codes.get(taskId)?.ctx
      if (ctx === undefined) continue
      const left = book && {
        tokens: leftIn(book, 'tokens'),
        cost: leftIn(book, 'cost'),
        spawns: leftIn(book, 'spawns'),
      }
      expect(ctx.budget).toEqual(left)
    }
  }
  watch(ann.cancelAll())
  await advance(2 * GRACE_MS)

  const log = await wholeLog(harness)
  expect(breachesOf(log)).toEqual([])
  for (const item of log) if (isTaskEvent(item) && item.type === 'task.cancelled') ended.add(item.taskId)
  for (const [taskId, book] of books) {
    const record = await ann.get(taskId)
    if (book?.holder !== taskId) {
      expect(record?.budget).toBeUndefined()
      continue
    }
    for (const what of ['tokens', 'cost'] as const) {
      const excess = book.spent[what] - book.granted[what]
      if (excess > 0) expect(excess).toBeLessThan(book.largest[what])
    }
    expect(book.spent.spawns).toBeLessThanOrEqual(book.granted.spawns)
    expect(Object.values(record?.budget?.granted ?? {}).every((granted) => Number.isFinite(granted))).toBe(true)
    if (record?.cause?.reason === 'budget') {
      note('stopped by its budget')
      expect(ended.has(taskId)).toBe(true)
      expect(chainOf(book).some((each) => isOverLine(each))).toBe(true)
    }
    if (isOverLine(book) && record?.status === 'cancelled') {
      expect(['budget', 'parent', 'user']).toContain(record.cause?.reason)
    }
    // All below is final before it, apart from what it let go.
    if (detached.size === 0) expect(record?.budget?.spent).toEqual(book.spent)
  }
}

test('whoever reports, spawns, ends or is cancelled when, no budget exceeds its grant by more than one report, and none starts more than it may', async () => {
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 40, size: 'max' }), (commands) =>
      play(commands, seen),
    ),
    { numRuns: 120 },
  )
  for (const what of ['refused budget_exceeded', 'refused a report', 'over the line', 'stopped by its budget']) {
    expectReached({ [what]: seen.get(what) ?? 0 }, 1)
  }
})
