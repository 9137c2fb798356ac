/**
 * The same chart, answered from a table.
 *
 * `memoise(machine)` walks the machine once with its own pure `transition`, keeps the snapshot of every state it can
 * reach by plain steps, and from then on answers a known (state, event) pair by looking the next snapshot up. Everything
 * else goes to the machine itself.
 *
 * 1. A pair is in the table only if no transition that could answer it has a guard, those that do answer have no action,
 *    and no node they may enter does anything: no entry, exit or initial actions, no invocation, no `always`, no done
 *    event, no output. So a step in the table is one microstep that calls nothing.
 * 2. The walk calls none of the machine's own code: what a step may enter is worked out before it is taken.
 * 3. A snapshot from the table is the machine's own snapshot. Where nothing in it belongs to one actor (no context of
 *    its own, no children, no history, no output) all actors in that state share it, so a step allocates nothing.
 * 4. A snapshot that carries children or history is never answered from the table.
 * 5. A step that the machine took itself comes back to the table as soon as its result allows it.
 * 6. Snapshots with the same value, regions in the same order, are the same state. The order in which the machine lists
 *    the nodes and tags of a state is not kept; nothing the machine does depends on it.
 */
import type {
  AnyActorScope,
  AnyEventObject,
  AnyMachineSnapshot,
  AnyStateMachine,
  AnyStateNode,
  AnyTransitionDefinition,
} from 'xstate'

/** One state of the machine, as every actor in that state sees it. */
interface Shape {
  readonly snapshot: AnyMachineSnapshot
  /** The next shape for each event type the table can answer. */
  readonly next: Map<string, Shape>
}

/** An `ActorLogic` that behaves as `machine` does and is several times faster on its plain transitions. */
export function memoise<TMachine extends AnyStateMachine>(machine: TMachine): TMachine {
  const shapesByKey = new Map<string, Shape>()
  /** By node list, which copies of a table snapshot keep: what else may differ in a copy, `shapeOf` looks at. */
  const shapesByNodes = new Map<readonly AnyStateNode[], Shape>()

  const addShape = (snapshot: AnyMachineSnapshot): Shape => {
    const key = keyOf(snapshot)
    const known = shapesByKey.get(key)
    if (known !== undefined) return known
    const shape: Shape = { snapshot: Object.freeze(snapshot), next: new Map() }
    shapesByKey.set(key, shape)
    shapesByNodes.set(snapshot._nodes, shape)
    return shape
  }

  /** The shape of a snapshot the table may answer: a copy of its own in which at most the context has changed. */
  const shapeOf = (snapshot: AnyMachineSnapshot): Shape | undefined => {
    const shape = shapesByNodes.get(snapshot._nodes)
    const isUnchanged = shape?.snapshot.children === snapshot.children && snapshot.status === 'active'
    return isUnchanged ? shape : undefined
  }

  /** The table's snapshot of a state, for an actor with this context. */
  const enter = (shape: Shape, context: AnyMachineSnapshot['context']): AnyMachineSnapshot =>
    shape.snapshot.context === context ? shape.snapshot : { ...shape.snapshot, context }

  /** Brings a snapshot that the machine made back to the table, if nothing in it is the actor's own. */
  const adopt = (snapshot: AnyMachineSnapshot): AnyMachineSnapshot => {
    if (!isPlain(snapshot) || shapeOf(snapshot) !== undefined) return snapshot
    const shape = shapesByKey.get(keyOf(snapshot))
    return shape === undefined ? snapshot : enter(shape, snapshot.context)
  }

  const initial = walk(machine, addShape)
  const context: unknown = machine.config.context
  const everyActorStartsAlike = typeof context !== 'function' && initial !== undefined

  const answers: Pick<AnyStateMachine, 'transition' | 'getInitialSnapshot' | 'restoreSnapshot'> = {
    transition(snapshot, event: AnyEventObject, scope) {
      const shape = shapeOf(snapshot)
      if (shape !== undefined) {
        const next = shape.next.get(event.type)
        if (next === shape) return snapshot
        if (next !== undefined) return enter(next, snapshot.context)
      }
      return adopt(machine.transition(snapshot, event, scope))
    },
    getInitialSnapshot: (scope, input) =>
      everyActorStartsAlike ? initial.snapshot : adopt(machine.getInitialSnapshot(scope, input)),
    restoreSnapshot: (snapshot, scope) => adopt(machine.restoreSnapshot(snapshot, scope)),
  }
  // `Object.create` gives `any`: what it makes inherits everything from the machine, so it is one.
  return Object.assign(Object.create(machine) as TMachine, answers)
}

/** Visits every state reachable by plain steps and fills its row. Gives the initial shape, if the start itself is plain. */
function walk(machine: AnyStateMachine, addShape: (snapshot: AnyMachineSnapshot) => Shape): Shape | undefined {
  const scope = createIdleScope()
  const start = startOf(machine, scope)
  if (start === undefined) return undefined

  const eventTypes = machine.events.filter((type) => !type.includes('*'))
  const initial = addShape(start)
  const rowsToFill = [initial]
  const filled = new Set<Shape>()
  for (let shape = rowsToFill.pop(); shape !== undefined; shape = rowsToFill.pop()) {
    if (filled.has(shape)) continue
    filled.add(shape)
    if (shape.snapshot.status !== 'active') continue
    for (const type of eventTypes) {
      const target = plainStep(machine, scope, shape.snapshot, type)
      if (target === undefined) continue
      const next = addShape(target)
      shape.next.set(type, next)
      rowsToFill.push(next)
    }
  }
  return initial
}

/**
 * The initial state as a snapshot, if getting there does nothing. Where each actor makes its own context, the table
 * holds an empty one in its place.
 */
function startOf(machine: AnyStateMachine, scope: AnyActorScope): AnyMachineSnapshot | undefined {
  const entered = machine.resolveState({ value: {}, context: {} })
  if (!entered._nodes.every(isQuiet)) return undefined
  const context: unknown = machine.config.context
  return typeof context === 'function' ? entered : machine.getInitialSnapshot(scope, undefined)
}

/** One step of the machine, if rule 1 lets the table answer for it. */
function plainStep(
  machine: AnyStateMachine,
  scope: AnyActorScope,
  from: AnyMachineSnapshot,
  type: string,
): AnyMachineSnapshot | undefined {
  if (from._nodes.some((node) => mayAskGuard(node, type))) return undefined
  const answers: readonly AnyTransitionDefinition[] = machine.getTransitionData(from, { type })
  if (answers.some((answer) => answer.actions.length > 0 || !nodesEnteredBy(answer).every(isQuiet))) return undefined
  const to = machine.transition(from, { type }, scope)
  return (to.status === 'active' || to.status === 'done') && isPlain(to) ? to : undefined
}

/** Whether the node has a guarded transition that this event could reach. */
function mayAskGuard(node: AnyStateNode, type: string): boolean {
  return [...node.transitions].some(
    ([descriptor, candidates]) =>
      (descriptor === type || descriptor.includes('*')) && candidates.some(({ guard }) => guard !== undefined),
  )
}

/** Every node the transition may enter: more than it does enter, where that depends on the state it is taken in. */
function nodesEnteredBy({ target: targets = [] }: AnyTransitionDefinition): AnyStateNode[] {
  return targets.flatMap((target: AnyStateNode) => {
    const entered = initialNodesOf(target)
    for (let above = target.parent; above !== undefined; above = above.parent) {
      entered.push(above, ...regionsOf(above).flatMap(initialNodesOf))
    }
    return entered
  })
}

/** The node and all that is entered with it by default. */
function initialNodesOf(node: AnyStateNode): AnyStateNode[] {
  const below: readonly AnyStateNode[] = node.type === 'compound' ? node.initial.target : regionsOf(node)
  return [node, ...below.flatMap(initialNodesOf)]
}

function regionsOf(node: AnyStateNode): AnyStateNode[] {
  const states: AnyStateNode[] = node.type === 'parallel' ? Object.values(node.states) : []
  return states.filter((state) => state.type !== 'history')
}

/** Entering, being in and leaving the node calls nothing and sends nothing. */
function isQuiet(node: AnyStateNode): boolean {
  return (
    node.entry.length === 0 &&
    node.exit.length === 0 &&
    node.invoke.length === 0 &&
    node.always === undefined &&
    node.type !== 'history' &&
    node.initial.actions.length === 0 &&
    (node.type !== 'final' || isPlainEnd(node))
  )
}

/** Whether entering this final node ends the machine without an output. Any other final node sends a done event. */
function isPlainEnd(node: AnyStateNode): boolean {
  const { root } = node.machine
  return node.parent === root && root.output === undefined && node.output === undefined
}

/** Nothing in the snapshot belongs to one actor, its context aside. */
function isPlain(snapshot: AnyMachineSnapshot): boolean {
  return (
    snapshot.output === undefined &&
    snapshot.error === undefined &&
    Object.keys(snapshot.children as object).length === 0 &&
    Object.keys(snapshot.historyValue as object).length === 0
  )
}

/** Snapshots of one machine with the same key are the same state (rule 6). */
function keyOf(snapshot: AnyMachineSnapshot): string {
  return `${snapshot.status}:${JSON.stringify(snapshot.value)}`
}

/** A scope for the walk: nothing a plain step does may reach an actor, so everything in it is inert. */
function createIdleScope(): AnyActorScope {
  const nothing = (): void => undefined
  const scope = {
    self: {},
    logger: nothing,
    defer: nothing,
    emit: nothing,
    stopChild: nothing,
    actionExecutor: nothing,
    system: { _sendInspectionEvent: nothing },
  }
  // The type asks for a whole actor system, which a step without actions never touches.
  return scope as unknown as AnyActorScope
}
