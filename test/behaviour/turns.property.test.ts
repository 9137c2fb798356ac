import type { SpawnCall, TaskContext, TaskHandle } from 'outlive'
import { isFinalStatus, isTaskError } from 'outlive'
import { expect, test } from 'vitest'
import { fc } from '../support/properties.ts'
import { setup } from '../support/setup.ts'

type Step =
  | {
      readonly kind: 'spawn'
      readonly owner: 'ann' | 'bob'
      readonly key: 'red' | 'blue' | undefined
      readonly onBusy: 'reject' | 'queue' | 'replace' | 'keepLatest'
      readonly priority: number
      readonly children: number
      readonly asks: boolean
      readonly retries: boolean
      readonly budget: number | undefined
    }
  | { readonly kind: 'cancel' | 'end' | 'fail' | 'answer'; readonly index: number }
  | { readonly kind: 'pass'; readonly ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('spawn'),
      owner: fc.constantFrom('ann', 'bob'),
      key: fc.constantFrom(undefined, undefined, 'red', 'blue'),
      onBusy: fc.constantFrom('reject', 'queue', 'replace', 'keepLatest'),
      priority: fc.integer({ min: -1, max: 1 }),
      children: fc.constantFrom(0, 0, 0, 1, 2),
      asks: fc.boolean(),
      retries: fc.boolean(),
      budget: fc.constantFrom(undefined, undefined, 1, 2),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel'), index: fc.nat(30) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('end', 'fail', 'answer'), index: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 60 }) }) },
)

test('whatever the mix of owners, keys, limits, attempts, questions, budgets and cancels, nothing is leaked or held twice', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.record({ maxRunning: fc.integer({ min: 1, max: 3 }), maxRunningPerOwner: fc.integer({ min: 1, max: 3 }) }),
      async (steps, limits) => {
        const { tasks, ann, bob, advance, settle } = setup({ limits, queueMs: 500, graceMs: 20, inlineMs: 5 })
        const sessions = { ann, bob }
        const open: { end(): void; fail(): void }[] = []
        const handles: TaskHandle[] = []
        const holders = new Map<string, number>()
        /** What code saw that must not be; thrown there, it would only fail its task. */
        const broken: string[] = []
        let running = 0
        let asked = 0
        let settled = 0

        /** Ends when it is told to, or when its signal fires. */
        const wait = (ctx: TaskContext): Promise<void> =>
          new Promise((resolve, reject) => {
            open.push({ end: resolve, fail: () => reject(new Error('told to fail')) })
            ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error))
            if (ctx.signal.aborted) reject(ctx.signal.reason as Error)
          })

        const leaf = async (_: undefined, ctx: TaskContext): Promise<void> => {
          running += 1
          try {
            await wait(ctx)
          } finally {
            running -= 1
          }
        }

        /** Asks, and goes on whatever becomes of the question. */
        const ask = async (ctx: TaskContext): Promise<void> => {
          asked += 1
          const answer = ctx.ask(`attempt ${ctx.attempt}`, 'Go on?', { answerWithinMs: 40 })
          await answer.catch(() => undefined)
          settled += 1
          ctx.signal.throwIfAborted()
        }

        const parent = async (
          input: { key?: string; children: number; asks: boolean },
          ctx: TaskContext,
        ): Promise<void> => {
          const held = `${ctx.owner}/${input.key ?? ''}`
          if (input.key !== undefined) {
            holders.set(held, (holders.get(held) ?? 0) + 1)
            if (holders.get(held) !== 1) broken.push(`${held} is held twice`)
          }
          try {
            running += 1
            // What comes back, as another attempt does, is never held up; what starts is.
            if (ctx.attempt === 1 && running > limits.maxRunning) broken.push(`${running} run at once`)
            await wait(ctx).finally(() => (running -= 1))
            if (input.asks) await ask(ctx)
            for (let n = 0; n < input.children; n += 1) {
              if (n === 0) await ctx.run(leaf, undefined)
              else await (await ctx.spawn(leaf, undefined)).wait()
            }
          } finally {
            if (input.key !== undefined) holders.set(held, 0)
          }
        }

        const perform = async (each: Step): Promise<void> => {
          switch (each.kind) {
            case 'spawn': {
              const { key, onBusy, priority, children, asks, retries, budget } = each
              const options: SpawnCall = {
                priority,
                ...(key === undefined ? {} : { concurrencyKey: key, onBusy }),
                ...(retries ? { retry: { maxAttempts: 2, baseMs: 10 } } : {}),
                ...(budget === undefined ? {} : { budget: { spawns: budget } }),
              }
              const input = { children, asks, ...(key === undefined ? {} : { key }) }
              try {
                handles.push(await sessions[each.owner].spawn(parent, input, options))
              } catch (error) {
                expect(isTaskError(error, 'key_busy')).toBe(true)
              }
              return
            }
            case 'cancel':
              handles[each.index % Math.max(1, handles.length)]?.cancel().catch(() => undefined)
              return
            case 'answer': {
              const { tasks: waiting } = await ann.list({ status: 'waiting' })
              const [question] = waiting[0]?.questions ?? []
              if (question !== undefined) await ann.answer(waiting[0]?.taskId ?? '', question.key, true)
              return
            }
            case 'end':
            case 'fail':
              open[each.index % Math.max(1, open.length)]?.[each.kind]()
              return
            case 'pass':
              return advance(each.ms)
          }
        }

        for (const each of steps) {
          await perform(each)
          await settle()
        }
        // What still waits ends by its own means: everything that asks is told to end.
        for (let round = 0; (await tasks.operator.stats()).live > 0 && round < 500; round += 1) {
          for (const each of open) each.end()
          await advance(10)
        }
        expect(settled).toBe(asked)
        expect(broken).toEqual([])
        expect((await tasks.operator.stats()).live).toBe(0)
        for (const handle of handles) expect(isFinalStatus((await handle.record()).status)).toBe(true)
        // Every slot and every key is free again.
        open.length = 0
        const again = Array.from({ length: limits.maxRunning }, (_, n) => {
          const session = n < limits.maxRunningPerOwner ? ann : bob
          const concurrencyKey = n === 0 ? 'red' : 'blue'
          return session.spawn(leaf, undefined, n < 2 ? { concurrencyKey } : {})
        })
        await Promise.all(again)
        await settle()
        expect(open).toHaveLength(Math.min(limits.maxRunning, 2 * limits.maxRunningPerOwner))
        for (const each of open) each.end()
        await settle()
      },
    ),
    { numRuns: 60 },
  )
})
