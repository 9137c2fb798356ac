/** A plan that is carried out step by step: the people who call the processes, and what goes wrong with these. */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import type { TaskRecord } from '../../ports/task-record.ts'
import type { SpawnCall } from '../../ports/task-handle.ts'
import { createConsumers } from './consumers.ts'
import { heal } from './healing.ts'
import type { NodeProcess } from './process.ts'
import type { Owner, SimulationPlan, SimulationStep } from './plan.ts'
import type { Scenario, SimulatedCall } from './scenario.ts'
import { createStage, type Stage } from './stage.ts'
import { peek } from './strangers.ts'
import { sumUp } from './sum-up.ts'

export interface World {
  act(step: SimulationStep): Promise<void>
  /** Nothing goes wrong any more: what is under way comes to its end, as far as it does. */
  heal(): Promise<void>
  /** Says what there is in the end. */
  sumUp(): Promise<void>
  nowMs(): number
}

type StepOf<Kind extends SimulationStep['do']> = Extract<SimulationStep, { readonly do: Kind }>

const WAIT_MS = 4_000

/** `note` is told each fact when it is one. */
export function createWorld(scenario: Scenario, plan: SimulationPlan, note: Stage['note']): World {
  const stage = createStage(scenario, plan, note)
  const { store, nodes, settle, pass } = stage
  const consumers = createConsumers(stage)

  const tell = ({ taskId, status, persisted }: TaskRecord): void => {
    if (persisted && isFinalStatus(status)) note({ type: 'told', taskId, status })
  }

  const steer = (kind: string, node: NodeProcess, task: number): void => {
    const found = stage.taskAt(task)
    if (found === undefined) return
    const { taskId } = found
    const session = node.session(found.owner)
    switch (kind) {
      case 'cancel':
        node.ask(() => session.cancel(taskId))
        break
      case 'answer':
        node.ask(async () => {
          const [question] = (await store.read(taskId))?.questions ?? []
          if (question !== undefined) await session.answer(taskId, question.key, scenario.answer ?? true)
        })
        break
      case 'send':
        node.ask(() => session.send(taskId, { hello: task }))
        break
      case 'redirect':
        node.ask(async () => {
          const record = await store.read(taskId)
          // What has ended is delivered once more by whoever is asked; here only the way of the end is of interest.
          if (record?.endedAt === undefined) await session.redirect(taskId, `mail:elsewhere-${task}`)
        })
        break
      case 'background':
        node.ask(() => session.background(taskId))
        break
      case 'attach':
        node.ask(() => session.attach(taskId, { waitMs: WAIT_MS }))
        break
      case 'look':
        node.ask(
          () => session.get(taskId),
          (record) => void (record !== undefined && tell(record)),
        )
        break
      case 'wait':
        node.ask(() => session.wait(taskId, { waitMs: WAIT_MS }), tell)
        break
    }
  }

  const spawn = (
    node: NodeProcess,
    owner: Owner,
    { call, parentId }: { call: SimulatedCall; parentId?: string },
  ): void =>
    node.ask(
      () => node.session(owner, parentId).spawn(...callOf(node, call)),
      ({ taskId }) => {
        stage.readStore()
        note({ type: 'acknowledged', taskId, owner })
      },
    )

  const redirectEnded = (node: NodeProcess, { task, box, again }: StepOf<'redirectEnded'>): void => {
    const found = stage.taskAt(task)
    if (found === undefined) return
    const { taskId, owner } = found
    node.ask(async () => {
      const record = await store.read(taskId)
      if (record?.endedAt !== undefined) await node.session(owner).redirect(taskId, `mail:late-${box}`, { again })
    })
  }

  const nodeOf = (index: number): NodeProcess => nodes[index % nodes.length] as NodeProcess

  const act = (step: SimulationStep): void => {
    switch (step.do) {
      case 'pass':
        break
      case 'spawn':
        spawn(nodeOf(step.node), step.owner, step)
        break
      case 'run': {
        const node = nodeOf(step.node)
        node.ask(() => node.session(step.owner).run(...callOf(node, step.call)))
        break
      }
      case 'spawnBelow':
      case 'runBelow': {
        const parent = stage.liveTaskAt(step.task)
        if (parent === undefined) break
        const { taskId: parentId, owner } = parent
        const node = nodeOf(step.node)
        if (step.do === 'spawnBelow') spawn(node, owner, { call: step.call, parentId })
        else node.ask(() => node.session(owner, parentId).run(...callOf(node, step.call)))
        break
      }
      case 'redirectEnded':
        redirectEnded(nodeOf(step.node), step)
        break
      case 'cancelAll':
        nodeOf(step.node).ask(() => nodeOf(step.node).session(step.owner).cancelAll())
        break
      case 'peek':
        peek(stage, nodeOf(step.node), step)
        break
      case 'follow':
        consumers.follow(nodeOf(step.node), step.consumer)
        break
      case 'crash':
        nodeOf(step.node).crash(step.atCall, step.isDone)
        break
      case 'restart':
        if (nodeOf(step.node).clock.state() === 'dead')
          nodes[step.node % nodes.length] = stage.start(step.node % nodes.length)
        break
      case 'stop':
        nodeOf(step.node).stop()
        break
      case 'pause':
        nodeOf(step.node).clock.pause()
        break
      case 'resume':
        nodeOf(step.node).clock.resume()
        break
      case 'cut':
      case 'mend':
        nodeOf(step.node).cut(step.do === 'cut')
        break
      case 'storeFault':
        nodeOf(step.node).failNext(step.fault, step.calls)
        break
      case 'channelFault':
        stage.failSends(Array.from({ length: step.sends }, () => step.fault))
        break
      case 'jump':
        nodeOf(step.node).clock.jump(step.ms)
        break
      case 'cancel':
      case 'answer':
      case 'send':
      case 'redirect':
      case 'background':
      case 'attach':
      case 'wait':
      case 'look':
        steer(step.do, nodeOf(step.node), step.task)
    }
  }

  return {
    nowMs: stage.nowMs,
    async act(step) {
      act(step)
      if (step.do === 'pass') await pass(step.ms)
      else await settle()
    },
    heal: () => heal(stage),
    sumUp: () => sumUp(stage, consumers),
  }
}

/** What is drawn fits its tool, which the compiler cannot know. */
function callOf(node: NodeProcess, { tool, input, options = {} }: SimulatedCall): [never, never, SpawnCall] {
  return [node.tool(tool) as never, input as never, options]
}
