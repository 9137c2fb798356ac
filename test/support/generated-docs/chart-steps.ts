/** A chart as plain rows: where it starts, and what leads from where to where. */
import type { AnyStateMachine, AnyStateNode } from 'xstate'

/** One region of a chart: states of which exactly one is active at a time, while its parent is. */
export interface Region {
  readonly name: string
  readonly initial: string
  readonly states: readonly string[]
  readonly finals: readonly string[]
  readonly steps: readonly Step[]
}

export interface Step {
  readonly from: string
  readonly event: string
  readonly to: string
}

/** The state that holds parallel regions, if the chart has one at its top level. */
export function findParallelState(machine: AnyStateMachine): AnyStateNode | undefined {
  return childrenOf(machine.root).find((node) => node.type === 'parallel')
}

/** The regions of a chart: those of its parallel state, or the chart itself as its only one. */
export function toRegions(machine: AnyStateMachine): Region[] {
  const parallel = findParallelState(machine)
  return (parallel === undefined ? [machine.root] : childrenOf(parallel)).map(toRegion)
}

/** The final states at the top level of a chart. */
export function toFinals(machine: AnyStateMachine): string[] {
  return childrenOf(machine.root)
    .filter((node) => node.type === 'final')
    .map((node) => node.key)
}

function toRegion(node: AnyStateNode): Region {
  const children = childrenOf(node)
  const initial = node.initial.target[0]?.key
  if (initial === undefined) throw new Error(`${node.id} has no initial state`)
  for (const child of children) {
    if (childrenOf(child).length > 0) throw new Error(`${child.id} is nested deeper than these documents can show`)
  }
  const steps = children.flatMap(stepsFrom)
  return {
    name: node.key,
    initial,
    states: children.filter(({ type }) => type !== 'final').map(({ key }) => key),
    finals: finalsAround(node).filter((key) => steps.some(({ to }) => to === key)),
    steps,
  }
}

function stepsFrom(node: AnyStateNode): Step[] {
  return [...node.transitions.values()].flat().map((transition) => {
    const [target] = transition.target ?? []
    return { from: node.key, event: transition.eventType as string, to: target?.key ?? node.key }
  })
}

/** The final states that a step of a region can reach. */
function finalsAround(region: AnyStateNode): string[] {
  return childrenOf(region.machine.root)
    .filter(({ type }) => type === 'final')
    .map(({ key }) => key)
}

/** xstate types the states of "any machine" as `any`. */
function childrenOf(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states as Readonly<Record<string, AnyStateNode>>)
}
