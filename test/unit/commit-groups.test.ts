import { groupCommits, type Commit, type CommitReply } from 'outlive'
import { expect, test } from 'vitest'
import { groupWrites } from '../../src/commit-groups.ts'

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const commitOf = (id: string): Commit => ({ id }) as Commit
const replyTo = ({ id }: Commit): CommitReply => ({ kind: 'committed', ownerPosition: Number(id), position: 0 })
const count = (length: number): Commit[] => Array.from({ length }, (_, index) => commitOf(String(index + 1)))

/** Groups that are answered when the test says so. */
function setup(options?: Parameters<typeof groupCommits>[1]) {
  const groups: { readonly ids: readonly string[]; answer(replies?: CommitReply[]): void; fail(error: Error): void }[] =
    []
  const commit = groupCommits(
    (commits) =>
      new Promise((resolve, reject) => {
        groups.push({
          ids: commits.map(({ id }) => id),
          answer: (replies = commits.map(replyTo)) => resolve(replies),
          fail: reject,
        })
      }),
    options,
  )
  return { groups, commit, ids: () => groups.map(({ ids }) => ids.join(' ')) }
}

test('the commits of one turn are one group, and each gets its own reply', async () => {
  const { groups, commit, ids } = setup()
  const replies = Promise.all(count(3).map(commit))
  expect(ids()).toEqual([])
  await nextTurn()
  expect(ids()).toEqual(['1 2 3'])
  groups[0]?.answer()
  expect((await replies).map((reply) => reply.kind === 'committed' && reply.ownerPosition)).toEqual([1, 2, 3])
})

test('what comes while a group is on its way is the next group', async () => {
  const { groups, commit, ids } = setup()
  const first = commit(commitOf('1'))
  await nextTurn()
  const others = ['2', '3'].map(async (id) => {
    await nextTurn()
    return commit(commitOf(id))
  })
  await nextTurn()
  await nextTurn()
  expect(ids()).toEqual(['1'])
  groups[0]?.answer()
  await first
  await nextTurn()
  expect(ids()).toEqual(['1', '2 3'])
  groups[1]?.answer()
  await Promise.all(others)
})

test('a group has so many commits at most, and so many groups are on their way', async () => {
  const { groups, commit, ids } = setup({ maxCommits: 2, maxOnTheWay: 2 })
  const replies = Promise.all(count(7).map(commit))
  await nextTurn()
  expect(ids()).toEqual(['1 2', '3 4'])
  groups[1]?.answer()
  await nextTurn()
  await nextTurn()
  expect(ids()).toEqual(['1 2', '3 4', '5 6'])
  groups[0]?.answer()
  groups[2]?.answer()
  await nextTurn()
  await nextTurn()
  groups[3]?.answer()
  expect(ids()).toEqual(['1 2', '3 4', '5 6', '7'])
  await replies
})

test('each group has its share of what is unanswered', async () => {
  const { groups, commit } = setup({ maxOnTheWay: 3 })
  const sizes = (): number[] => groups.map(({ ids }) => ids.length)
  const replies = Promise.all(count(90).map(commit))
  await nextTurn()
  expect(sizes()).toEqual([30, 30, 30])
  const others = Promise.all(count(90).map(commit))
  groups[0]?.answer()
  await nextTurn()
  await nextTurn()
  expect(sizes(), '150 are unanswered').toEqual([30, 30, 30, 50])
  for (const { answer } of groups) answer()
  await nextTurn()
  await nextTurn()
  expect(sizes()).toEqual([30, 30, 30, 50, 16, 16, 8])
  for (const { answer } of groups) answer()
  await Promise.all([replies, others])
})

test('few are one group, whoever else may go', async () => {
  const { groups, commit, ids } = setup({ maxOnTheWay: 3 })
  const replies = Promise.all(count(16).map(commit))
  await nextTurn()
  expect(ids()).toHaveLength(1)
  groups[0]?.answer()
  await replies
})

test('a group that fails fails for its own commits, and the next goes on', async () => {
  const { groups, commit } = setup({ maxCommits: 2 })
  const replies = Promise.allSettled(count(3).map(commit))
  await nextTurn()
  groups[0]?.fail(new Error('down'))
  await nextTurn()
  await nextTurn()
  groups[1]?.answer()
  expect((await replies).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
})

test('a group with too few replies fails whole', async () => {
  const { groups, commit } = setup()
  const replies = Promise.allSettled(count(2).map(commit))
  await nextTurn()
  groups[0]?.answer([replyTo(commitOf('1'))])
  expect((await replies).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})

test('a change that has an error for its reply fails alone', async () => {
  const write = groupWrites<number, string>(
    async (changes) => changes.map((change) => (change === 2 ? new Error('damaged') : `kept ${change}`)),
    {},
  )
  const [first, second, third] = await Promise.allSettled([1, 2, 3].map(write))
  expect(first).toMatchObject({ value: 'kept 1' })
  expect(second).toMatchObject({ reason: { message: 'damaged' } })
  expect(third).toMatchObject({ value: 'kept 3' })
})
