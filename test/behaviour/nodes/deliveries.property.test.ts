import type { ChannelMessage, Session, TaskHandle } from 'outlive'
import { controllableTool, type ToolCall } from 'outlive/testing'
import { expect, test } from 'vitest'
import { gone, later, refused, scriptedChannel, type Answer } from '../../support/scripted-channel.ts'
import { LEASE_MS, setupNodes, type Node } from '../../support/nodes.ts'
import { expectReached, fc } from '../../support/properties.ts'

type Owner = 'ann' | 'bob'

type Step =
  | { readonly kind: 'spawn'; readonly owner: Owner; readonly targets: readonly number[]; readonly children: number }
  | { readonly kind: 'end'; readonly pick: number; readonly how: 'value' | 'error' | 'cancel' }
  | { readonly kind: 'redirect'; readonly pick: number; readonly target: number }
  | { readonly kind: 'answers'; readonly owner: Owner; readonly target: number; readonly answers: readonly Fault[] }
  | { readonly kind: 'crash' }
  | { readonly kind: 'wait'; readonly ms: number }

const FAULTS = ['ok', 'hang', 'later', 'soon', 'error', 'refused', 'gone'] as const
type Fault = (typeof FAULTS)[number]

const ANSWERS: Readonly<Record<Fault, () => Answer>> = {
  ok: () => 'ok',
  hang: () => 'hang',
  later: () => later(5_000),
  soon: () => later(),
  error: () => new Error('the line broke'),
  refused,
  gone,
}

const target = fc.nat({ max: 2 })
const owner = fc.constantFrom<Owner>('ann', 'bob')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('spawn' as const),
      owner,
      targets: fc.uniqueArray(target, { maxLength: 2 }),
      children: fc.nat({ max: 2 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      pick: fc.nat(),
      how: fc.constantFrom('value' as const, 'error' as const, 'cancel' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('redirect' as const), pick: fc.nat(), target }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('answers' as const),
      owner,
      target,
      answers: fc.array(fc.constantFrom(...FAULTS), { maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 20_000 }) }) },
)

/** Runs the steps, then lets everything come to rest, and gives what arrived and what the audit says. */
async function runStory(steps: readonly Step[]) {
  const nodes = setupNodes()
  const chat = scriptedChannel(() => nodes.clock.now())
  const options = {
    channels: { chat: chat.channel },
    delivery: { baseMs: 500, jitter: 'none', maxAttempts: 6 },
    mayDeliver: ({ owner: who, target: where }: { owner: string; target: string }) => where.startsWith(`chat:${who}-`),
  } as const
  let node: Node = await nodes.start(options)
  let crashes = 0
  const of = (who: Owner): Session => (who === 'ann' ? node.ann : node.bob)
  const tasks: { readonly owner: Owner; readonly handle: TaskHandle; readonly call: ToolCall<undefined, unknown> }[] =
    []

  for (const one of steps) {
    if (one.kind === 'spawn') {
      const work = controllableTool('work')
      const deliverTo = one.targets.map((name) => `chat:${one.owner}-${name}`)
      const handle = await of(one.owner).spawn(work.tool, undefined, { deliverTo })
      await nodes.settle()
      const call = work.call(0)
      tasks.push({ owner: one.owner, handle, call })
      for (let count = 0; count < one.children; count += 1) {
        const below = controllableTool(`child-${count}`)
        const child = await call.ctx.spawn(below.tool, undefined, { deliverTo: `chat:${one.owner}-${count}` })
        await nodes.settle()
        tasks.push({ owner: one.owner, handle: of(one.owner).handle(child.taskId), call: below.call(0) })
      }
    }
    const picked = 'pick' in one ? tasks[one.pick % Math.max(tasks.length, 1)] : undefined
    if (one.kind === 'end' && picked !== undefined) {
      if (one.how === 'value') picked.call.resolve('the result')
      if (one.how === 'error') picked.call.reject(new Error('no luck'))
      if (one.how === 'cancel')
        void of(picked.owner)
          .cancel(picked.handle.taskId)
          .catch(() => undefined)
    }
    if (one.kind === 'redirect' && picked !== undefined) {
      const redirecting = of(picked.owner).redirect(picked.handle.taskId, `chat:${picked.owner}-${one.target}`)
      // Of a task whose process is gone nobody can say yet where its result goes.
      void redirecting.catch(() => undefined)
    }
    if (one.kind === 'answers')
      chat.script(`${one.owner}-${one.target}`, ...one.answers.map((fault) => ANSWERS[fault]()))
    if (one.kind === 'crash') {
      node.kill()
      crashes += 1
      node = await nodes.start(options)
    }
    if (one.kind === 'wait') await nodes.advance(one.ms)
    await nodes.settle()
  }
  for (const { call } of tasks) call.resolve('the result')
  await nodes.advance(4 * LEASE_MS + 600_000)
  const audit = await node.tasks.operator.audit({ limit: 1_000 })
  return { audit, arrived: chat.arrived, sent: chat.sent, crashes, ended: tasks.length }
}

const keyOf = ({ id, taskId }: ChannelMessage, to: string): string => `${taskId} ${to} ${id}`

test('whatever happens, each result is delivered, dead or owed, once for each target, and to its owner’s places alone', async () => {
  const seen = { arrived: 0, dead: 0, crashes: 0 }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40, size: 'max' }), async (steps) => {
      const { audit, arrived, sent, crashes, ended } = await runStory(steps)
      expect(audit.tasks).toHaveLength(ended)
      expect([audit.missing, audit.stray]).toEqual([[], []])
      // Time enough has passed for everything to be settled one way or the other.
      expect(audit.counts.pending).toBe(0)

      const known = new Map(audit.tasks.map((task) => [task.taskId, task]))
      for (const { to, message } of arrived) {
        const task = known.get(message.taskId)
        expect(to.startsWith(`${task?.owner ?? 'nobody'}-`)).toBe(true)
        expect(task?.targets).toContain(`chat:${to}`)
      }
      for (const task of audit.tasks) {
        const targets = task.deliveries.map((delivery) => delivery.target)
        expect(new Set(targets).size).toBe(targets.length)
        for (const { deliveryId, target: where, state } of task.deliveries) {
          const got = arrived.filter(({ message }) => message.deliveryId === deliveryId)
          if (state === 'delivered') expect(got.length).toBeGreaterThan(0)
          // A crash between the answer and what is kept of it repeats one message.
          expect(got.length).toBeLessThanOrEqual(1 + crashes)
          for (const { to } of got) expect(`chat:${to}`).toBe(where)
        }
      }
      const texts = new Map<string, string>()
      for (const { to, message } of sent) {
        const key = keyOf(message, to)
        expect(texts.get(key) ?? message.text).toBe(message.text)
        texts.set(key, message.text)
      }
      seen.arrived += arrived.length
      seen.dead += audit.counts.deadLettered
      seen.crashes += crashes
    }),
    { numRuns: 40 },
  )
  // A story in which nothing happens proves nothing.
  expectReached(seen, 1)
})
