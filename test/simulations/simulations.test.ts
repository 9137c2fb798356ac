import { FAULT_KINDS, replayPlan, requireSound, simulate, taskTrees } from 'outlive/testing'
import { expect, test } from 'vitest'
import { expectReached } from '../support/properties.ts'
import { KEPT_PLANS } from './kept-plans.ts'

test.each(KEPT_PLANS)('a plan that was kept: $title', async ({ title: _title, ...plan }) => {
  const { breaches, history } = await replayPlan(taskTrees(), plan)
  expect(breaches).toEqual([])
  expect(history.length).toBeGreaterThan(5)
})

// A small share of what `npm run simulate` does: one that fails throws its shortest story.
test.each([
  { nodes: 1, faults: FAULT_KINDS, what: 'one process, all faults' },
  { nodes: 2, faults: FAULT_KINDS, what: 'two processes, all faults' },
  { nodes: 2, faults: ['crash', 'stop', 'channelFault', 'jump'] as const, what: 'two processes, a calm store' },
  { nodes: 3, faults: FAULT_KINDS, what: 'three processes, all faults' },
])('40 seeds of 200 steps are sound: $what', async ({ nodes, faults }) => {
  let facts = 0
  const reached = { childrenElsewhere: 0, resultsSentLate: 0 }
  for (let seed = 1; seed <= 40; seed += 1) {
    const report = await simulate(taskTrees(), { seed: seed * 100 + nodes, steps: 200, nodes, faults })
    requireSound(report)
    facts += report.history.length
    for (const { fact } of report.history) {
      if (fact.type === 'committed' && fact.event.type === 'task.queued' && fact.event.parent === 'elsewhere')
        reached.childrenElsewhere += 1
      if (fact.type === 'sent' && fact.target.startsWith('mail:late-')) reached.resultsSentLate += 1
    }
  }
  expectReached(nodes === 1 ? { resultsSentLate: reached.resultsSentLate } : reached, 20)
  expect(facts).toBeGreaterThan(8_000)
})
