import { expect, test } from 'vitest'
import { createLiveTask, type LiveTask, type TreeNode } from '../../src/runtime/live-task.ts'
import type { TaskSpec } from '../../src/runtime/task-spec.ts'
import {
  childrenOf,
  createTreeIndex,
  deepestFirst,
  descendantsOf,
  type TreeIndex,
} from '../../src/runtime/tree-index.ts'
import { expectReached, fc } from '../support/properties.ts'

function taskOf(tree: TreeIndex, taskId: string, above: LiveTask | undefined, owner = 'ann'): LiveTask {
  const birth: Record<string, unknown> = {
    taskId,
    spec: { owner } as Partial<TaskSpec>,
    input: undefined,
    above: above ?? tree.requireOwner(owner),
    parentId: above?.taskId,
    rootId: above?.rootId ?? taskId,
    depth: above === undefined ? 0 : above.depth + 1,
    correlation: undefined,
    createdAt: 0,
    caller: 'detached',
  }
  const task = createLiveTask(birth as unknown as Parameters<typeof createLiveTask>[0])
  tree.link(task)
  return task
}

function idsBelow(node: TreeNode): string[] {
  return descendantsOf(node).map(({ taskId }) => taskId)
}

test('children are found youngest first, and every parent before its children', () => {
  const tree = createTreeIndex()
  const a = taskOf(tree, 'a', undefined)
  const b = taskOf(tree, 'b', undefined)
  taskOf(tree, 'a1', a)
  const a2 = taskOf(tree, 'a2', a)
  taskOf(tree, 'a2x', a2)
  taskOf(tree, 'b1', b)
  const ann = tree.requireOwner('ann')
  expect([...childrenOf(ann)].map(({ taskId }) => taskId)).toEqual(['b', 'a'])
  expect([...childrenOf(a)].map(({ taskId }) => taskId)).toEqual(['a2', 'a1'])
  expect(idsBelow(ann)).toEqual(['b', 'a', 'b1', 'a2', 'a1', 'a2x'])
})

test('the children of a node may be unlinked while they are visited', () => {
  const tree = createTreeIndex()
  const a = taskOf(tree, 'a', undefined)
  for (let index = 0; index < 10; index += 1) taskOf(tree, `a${index}`, a)
  for (const child of childrenOf(a)) tree.unlink(child)
  expect(a.childCount).toBe(0)
  expect(a.firstChild).toBeUndefined()
})

test('deepest first, each task is asked for once and above those below it, and what is not taken is left out with all below', () => {
  const tree = createTreeIndex()
  const a = taskOf(tree, 'a', undefined)
  const a1 = taskOf(tree, 'a1', a)
  taskOf(tree, 'a2', a)
  taskOf(tree, 'a1x', a1)
  const b = taskOf(tree, 'b', undefined)
  const b1 = taskOf(tree, 'b1', b)
  taskOf(tree, 'b1x', b1)
  const asked: string[] = []
  const found = deepestFirst([a, b], ({ taskId }, isTop) => {
    asked.push(isTop ? `top ${taskId}` : taskId)
    return taskId !== 'b1'
  })
  expect(found.map(({ taskId }) => taskId)).toEqual(['a1x', 'a2', 'a1', 'a', 'b'])
  expect(asked).toEqual(['top a', 'top b', 'a2', 'a1', 'b1', 'a1x'])
  // A top of another depth has its place among those.
  expect(deepestFirst([a1, b], () => true).map(({ taskId }) => taskId)).toEqual(['a1x', 'b1x', 'a1', 'b1', 'b'])
})

test('an owner without tasks is forgotten', () => {
  const tree = createTreeIndex()
  const a = taskOf(tree, 'a', undefined)
  const b = taskOf(tree, 'b', undefined)
  taskOf(tree, 'x', undefined, 'bob')
  tree.unlink(a)
  expect([...tree.owners()].map(({ owner }) => owner)).toEqual(['ann', 'bob'])
  tree.unlink(b)
  expect(tree.findOwner('ann')).toBeUndefined()
  expect([...tree.owners()].map(({ owner }) => owner)).toEqual(['bob'])
})

test('a detached child hangs below its owner with everything below it, and keeps its lineage', () => {
  const tree = createTreeIndex()
  const a = taskOf(tree, 'a', undefined)
  const child = taskOf(tree, 'child', a)
  taskOf(tree, 'grandchild', child)
  tree.detach(child)
  expect(a.childCount).toBe(0)
  expect(child.above).toBe(tree.findOwner('ann'))
  expect(child).toMatchObject({ parentId: 'a', rootId: 'a', depth: 1 })
  expect(idsBelow(tree.requireOwner('ann'))).toEqual(['child', 'a', 'grandchild'])
  tree.unlink(a)
  expect(idsBelow(tree.requireOwner('ann'))).toEqual(['child', 'grandchild'])
})

test('a chain of 200,000 is walked without exhausting the stack', () => {
  const tree = createTreeIndex()
  let above: LiveTask | undefined
  for (let index = 0; index < 200_000; index += 1) above = taskOf(tree, `t${index}`, above)
  const found = descendantsOf(tree.requireOwner('ann'))
  expect(found).toHaveLength(200_000)
  expect(found.at(-1)).toBe(above)
})

test('whatever is linked, unlinked and detached, the index holds what a plain model says', () => {
  const command = fc.record({
    verb: fc.constantFrom('link', 'link', 'link', 'unlink', 'detach'),
    pick: fc.nat(1_000),
  })
  let unlinked = 0
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const tree = createTreeIndex()
      const aboveOf = new Map<LiveTask, LiveTask | undefined>()
      for (const [index, { verb, pick }] of commands.entries()) {
        const live = [...aboveOf.keys()]
        const chosen = live[pick % (live.length + 1)]
        if (verb === 'link') aboveOf.set(taskOf(tree, `t${index}`, chosen), chosen)
        else if (chosen === undefined) continue
        else if (verb === 'detach') {
          tree.detach(chosen)
          aboveOf.set(chosen, undefined)
        } else if (chosen.childCount === 0) {
          unlinked += 1
          tree.unlink(chosen)
          aboveOf.delete(chosen)
        }
      }
      const live = [...aboveOf.keys()]
      const node = tree.findOwner('ann')
      expect(node === undefined).toBe(live.length === 0)
      const found = node === undefined ? [] : descendantsOf(node)
      expect(new Set(found)).toEqual(new Set(live))
      expect(found).toHaveLength(live.length)
      for (const task of live) {
        const above = aboveOf.get(task)
        expect(task.above).toBe(above ?? node)
        expect(task.childCount).toBe(live.filter((other) => aboveOf.get(other) === task).length)
        expect([...childrenOf(task)]).toHaveLength(task.childCount)
        if (above !== undefined) expect(found.indexOf(above)).toBeLessThan(found.indexOf(task))
      }
    }),
    { numRuns: 300 },
  )
  expectReached({ unlinked }, 40)
})
