import { approval } from 'outlive'
import { expect, test } from 'vitest'

const judge = (value: unknown): unknown => approval['~standard'].validate(value)

test('an approval is an object that says yes or no, with a note or without', () => {
  expect(judge({ approved: true })).toEqual({ value: { approved: true } })
  expect(judge({ approved: false, note: 'not now' })).toEqual({ value: { approved: false, note: 'not now' } })
  expect(judge({ approved: true, note: undefined })).toEqual({ value: { approved: true } })
})

test('what else an answer brings along is left out', () => {
  expect(judge({ approved: true, by: 'somebody' })).toEqual({ value: { approved: true } })
})

test.each([
  [true, []],
  ['yes', []],
  [null, []],
  [[true], []],
  [{}, ['approved']],
  [{ approved: 'true' }, ['approved']],
  [{ approved: true, note: 5 }, ['note']],
])('%j is refused, and told where it is wrong', (value, path) => {
  const { issues } = judge(value) as { issues: readonly { message: string; path?: readonly string[] }[] }
  expect(issues).toHaveLength(1)
  expect(issues[0]?.path ?? []).toEqual(path)
})

test('its JSON Schema asks for what it takes', () => {
  expect(approval['~standard'].jsonSchema.input({ target: 'draft-2020-12' })).toEqual({
    type: 'object',
    properties: { approved: { type: 'boolean' }, note: { type: 'string' } },
    required: ['approved'],
  })
})
