import { defineTool, isTaskEvent } from 'outlive'
import {
  describeReport,
  drawPlan,
  FAULT_KINDS,
  replayPlan,
  requireSound,
  simulate,
  taskTrees,
  toSequenceDiagram,
  toTestFile,
  type Scenario,
  type SimulationReport,
} from 'outlive/testing'
import { describe, expect, test } from 'vitest'
import { startStopwatch } from '../support/stopwatch.ts'

/** A scenario of one's own, in which one kind of task never ends, whatever happens: it runs again for ever. */
const endless: Scenario = {
  settings: { timeoutMs: Infinity, leaseMs: 1_000 },
  settleMs: 5_000,
  tools: ({ sleep }) => [
    defineTool({ name: 'short', run: async (ms: number) => sleep(ms) }),
    defineTool({
      name: 'endless',
      policy: { recovery: 'rerun', maxInterruptions: 100 },
      run: async (_input: unknown) => sleep(1_000_000_000),
    }),
  ],
  drawCall: (random) =>
    random.chance(0.3) ? { tool: 'endless', input: { much: true } } : { tool: 'short', input: random.below(100) },
  simplify: ({ tool, input }) => (tool === 'endless' && input !== null ? [{ tool, input: null }] : []),
}

function textOf(report: SimulationReport): string {
  return JSON.stringify([report.plan, report.breaches, report.history])
}

describe('a simulation', () => {
  test('is the same for the same seed, byte for byte, and another one for another seed', async () => {
    for (const seed of [1, 2, 3]) {
      const first = textOf(await simulate(taskTrees(), { seed, steps: 250 }))
      expect(first.length).toBeGreaterThan(20_000)
      expect(textOf(await simulate(taskTrees(), { seed, steps: 250 })) === first).toBe(true)
      expect(textOf(await simulate(taskTrees(), { seed: seed + 10, steps: 250 })) === first).toBe(false)
    }
  })

  test('of a plan that was kept as JSON is the run that was drawn', async () => {
    const drawn = await simulate(taskTrees(), { seed: 5, steps: 150 })
    const replayed = await replayPlan(taskTrees(), JSON.parse(JSON.stringify(drawn.plan)) as typeof drawn.plan)
    expect(textOf(replayed) === textOf(drawn)).toBe(true)
  })

  test('is sound with every kind of fault, alone and together, for one process and for three', async () => {
    for (const faults of [[], ...FAULT_KINDS.map((kind) => [kind]), FAULT_KINDS]) {
      for (const nodes of [1, 3]) {
        const { breaches } = await simulate(taskTrees(), { seed: 11, steps: 150, nodes, faults })
        expect(breaches, `${faults.join()} on ${nodes}`).toEqual([])
      }
    }
  })

  test('reaches what it is made for: every kind of fact, ends of every kind, takeovers, attempts and late ends', async () => {
    const seen = new Set<string>()
    for (let seed = 1; seed <= 20; seed += 1) {
      const { history, plan, breaches } = await simulate(taskTrees(), { seed, steps: 300 })
      expect(breaches).toEqual([])
      for (const step of plan.steps) seen.add(step.do)
      for (const { fact } of history) {
        seen.add(fact.type)
        if (fact.type === 'sent') seen.add(fact.isAccepted ? 'accepted' : 'refused')
        if (fact.type !== 'committed') continue
        const { event } = fact
        seen.add(event.type)
        if (event.epoch > 1) seen.add('taken over')
        if (event.depth > 1) seen.add('a tree')
        if (event.type === 'task.queued' && event.parent !== undefined) seen.add('a parent elsewhere')
        if (event.type === 'task.failed') seen.add(event.failure.code)
        if (event.type === 'task.cancelled') seen.add(event.stopCause.reason)
        if (event.type === 'task.failed' && event.abandoned === true) seen.add('abandoned')
      }
    }
    const wanted = `
        committed acknowledged told seen peeked sent delivery kept counted
        spawnBelow runBelow redirectEnded crash restart stop pause resume cut mend storeFault channelFault jump
        task.completed task.asked task.answered task.message task.retrying task.redirected
        interrupted timeout queue_timeout child_failed tool_error user parent superseded
      `
      .trim()
      .split(/\s+/)
    wanted.push('accepted', 'refused', 'taken over', 'a tree', 'a parent elsewhere', 'abandoned')
    expect(wanted.filter((what) => !seen.has(what))).toEqual([])
  })

  test('never waits for real time, however much of its own passes', async () => {
    const tookMs = startStopwatch()
    const { history } = await simulate(taskTrees(), { seed: 3, steps: 100 })
    expect(history.at(-1)?.atMs).toBeGreaterThan(60_000)
    expect(tookMs()).toBeLessThan(10_000)
  })

  test('lets code that waits for the real loop go on between two steps', async () => {
    const scenario: Scenario = {
      tools: () => [
        defineTool({ name: 'loop', run: async (_input: unknown) => new Promise((resolve) => setImmediate(resolve)) }),
      ],
      drawCall: () => ({ tool: 'loop', input: null }),
    }
    const { history, breaches } = await simulate(scenario, { seed: 1, steps: 40, faults: [] })
    expect(breaches).toEqual([])
    const completed = history.filter(({ fact }) => fact.type === 'committed' && fact.event.type === 'task.completed')
    expect(completed.length).toBeGreaterThan(2)
    expect(completed.some(({ step }) => step < 40)).toBe(true)
  })

  test('refuses options that mean nothing', async () => {
    await expect(simulate(endless, { seed: -1 })).rejects.toThrow('seed must be a whole number')
    await expect(simulate(endless, { steps: 0 })).rejects.toThrow('steps must be')
    await expect(simulate(endless, { nodes: 17 })).rejects.toThrow('nodes must be')
    await expect(simulate(endless, { faults: ['fire' as 'crash'] })).rejects.toThrow('faults must be a list of crash')
    await expect(simulate(endless, { step: 1 } as object)).rejects.toThrow('has no option "step"')
  })
})

describe('a run that is not sound', () => {
  test('is shortened to the steps and the simplest call that break the same rule', async () => {
    const report = await simulate(endless, { seed: 1, steps: 80 })
    expect(report.breaches[0]).toMatchObject({ kind: 'history', rule: 8 })
    expect(report.drawnSteps).toBe(80)
    expect(report.plan.steps).toHaveLength(1)
    expect(report.plan.steps[0]).toMatchObject({ do: 'spawn', call: { tool: 'endless', input: null } })
    const whole = await simulate(endless, { seed: 1, steps: 80, shorten: false })
    expect(whole.plan.steps).toHaveLength(80)
    expect(whole.plan).toEqual(drawPlan(endless, { seed: 1, steps: 80, nodes: 2, faults: FAULT_KINDS }))
  })

  test('throws its seed, what broke, the story as a diagram and a test to keep', async () => {
    const report = await simulate(endless, { seed: 1, steps: 80 })
    expect(() => requireSound(report)).toThrow('Seed 1 breaks, with 1 of 80 steps, 2 processes')
    const text = describeReport(report)
    expect(text).toContain('history rule 8')
    expect(text).toContain('it is still running')
    expect(text).toContain(toSequenceDiagram(report))
    expect(text).toContain(toTestFile(report))
    const diagram = toSequenceDiagram(report)
      .split('\n')
      .map((line) => line.trim())
    expect(diagram[0]).toBe('sequenceDiagram')
    expect(diagram).toContain('Note over caller,store: nothing goes wrong any more')
    expect(diagram.some((line) => /^caller->>n\d: 0\. (ann|bob) spawns endless\(/.test(line))).toBe(true)
    for (const { fact } of report.history) {
      if (fact.type === 'committed' && isTaskEvent(fact.event)) {
        expect(text).toContain(`${fact.event.taskId} ${fact.event.seq} ${fact.event.type}`)
      }
    }
    expect(toTestFile(report)).toContain(JSON.stringify(report.plan.steps[0]))
  })
})
