import { describeReport, toTestFile } from 'outlive/testing'
import { expect, test } from 'vitest'
import { findStory, paying } from '../docs/examples/charged-once.ts'

// The example in docs/examples: a rule of one's own, judged over what tools have done to the world.

const SEEDS = 20

test('a tool that is run again may charge twice: a simulation finds it, with a story of a few steps', async () => {
  const report = await findStory(paying('rerun'), SEEDS)
  expect(report?.breaches).toEqual([
    expect.objectContaining({
      kind: 'scenario',
      rule: 'nobody pays twice',
      message: expect.stringMatching(/^order \d+ is charged twice$/) as unknown,
    }),
  ])
  expect(report?.plan.steps.length).toBeLessThan(5)
  expect(report?.plan.steps[0]).toMatchObject({ do: 'spawn', call: { tool: 'pay' } })
  const text = report === undefined ? '' : describeReport(report)
  expect(text).toContain('- rule nobody pays twice, step')
  expect(text.match(/Note over n\d: charge \d+/g)).toHaveLength(2)
  expect(report && toTestFile(report)).toContain("await replayPlan(paying('rerun'), {")
})

test('one that is not run again never does', async () => {
  expect(await findStory(paying('fail'), SEEDS)).toBeUndefined()
})
