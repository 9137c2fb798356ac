/** A tree over several processes. */
import { isTaskError, type Session, type SpawnCall, type TaskHandle } from 'outlive'
import { controllableTool } from 'outlive/testing'
import { expect } from 'vitest'
import { setupNodes, type Node, type Nodes } from './nodes.ts'
import { watch } from './setup.ts'

const RECONCILE_MS = 2_000

type NodeOptions = Parameters<Nodes['start']>[0]

/** A parent in the first process, and children of it in the second one, or wherever a session of theirs is. */
export async function setupTree(given: { readonly wakes?: boolean; readonly nodes?: readonly NodeOptions[] } = {}) {
  const nodes = setupNodes(given)
  const withinMs = given.wakes === false ? 2 * RECONCILE_MS + 100 : 300
  const [ofA, ofB, ofC] = given.nodes ?? []
  const [a, b, c] = [await nodes.start(ofA), await nodes.start(ofB), await nodes.start(ofC)]
  const work = controllableTool<string, string>('work', { honoursSignal: true })
  const root = await a.ann.spawn(work.tool, 'root')
  await nodes.settle()
  const inside = (node: Node): Session => node.tasks.session({ owner: 'ann', parentId: root.taskId })
  /** What a promise came to in the time that it may take. */
  const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
    const seen = watch(promise)
    await nodes.advance(withinMs)
    expect(seen.state).not.toBe('pending')
    return promise
  }
  const codeOf = async (promise: Promise<unknown>): Promise<unknown> => {
    const error: unknown = await soon(promise.catch((thrown: unknown) => thrown))
    return isTaskError(error) ? error.code : error
  }
  const spawnIn = async (node: Node, input: string, options?: SpawnCall): Promise<TaskHandle> => {
    const handle = await soon(inside(node).spawn(work.tool, input, options))
    await nodes.settle()
    return handle
  }
  const ctxOf = (input: string) => {
    const call = work.calls.findLast((made) => made.input === input)
    if (call === undefined) throw new Error(`${input} does not run`)
    return call.ctx
  }
  const end = (input: string): void => work.calls.findLast((made) => made.input === input)?.resolve('done')
  return { ...nodes, a, b, c, root, soon, codeOf, spawnIn, ctxOf, end, withinMs }
}
