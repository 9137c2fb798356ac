/**
 * The live tasks as rows that fit a screen.
 *
 * Sub-agents and calls with a ticket have rows; calls that are still awaited inline are a count on their folder. Sub-agents
 * that have ended are one row for all their parent's, cancelled ones have their own. What does not fit is folded from below.
 */
import type { TaskRecord } from 'outlive'
import { isAgent, labelOf, type EndedAgent } from '../facts.ts'
import { countText, msText, plainText } from '../texts.ts'

export type RowState =
  | 'running'
  | 'queued'
  | 'waiting'
  | 'retrying'
  | 'ticket'
  | 'stopping'
  | 'done'
  | 'cancelled'
  | 'failed'

export interface TaskRow {
  readonly key: string
  readonly depth: number
  readonly state: RowState
  readonly label: string
  readonly detail: string
  readonly fraction?: number
}

interface Node {
  readonly record: TaskRecord
  readonly agents: Node[]
  /** Calls that have a ticket. */
  readonly tickets: Node[]
  inlineCalls: number
  descendants: number
}

interface RowInput {
  readonly live: readonly TaskRecord[]
  readonly ended: ReadonlyMap<string, EndedAgent>
  readonly maxRows: number
  readonly now: number
}

const TICKETS_PER_FOLDER = 3

export function toTaskRows({ live, ended, maxRows, now }: RowInput): TaskRow[] {
  const endedRows = toEndedRows(ended)
  const roots = toForest(live)
  const shown = new Set<Node>()
  let room = maxRows
  const show = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      const size = 1 + (endedRows.get(node.record.taskId)?.length ?? 0)
      if (size > room) continue
      room -= size
      shown.add(node)
    }
  }
  // Breadth first, so that what is folded is deep down; then calls with a ticket, where there is room left.
  const agents: Node[] = []
  for (let level = roots; level.length > 0; level = level.flatMap((node) => node.agents)) agents.push(...level)
  show(agents)
  for (const node of agents) if (shown.has(node)) show(node.tickets.slice(0, TICKETS_PER_FOLDER))

  const rows: TaskRow[] = []
  const stack = [...roots].reverse()
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (!shown.has(node)) continue
    rows.push(toRow(node, now, shown), ...(endedRows.get(node.record.taskId) ?? []).map(below(node)))
    stack.push(...[...node.tickets, ...node.agents].reverse())
  }
  return rows
}

function toForest(live: readonly TaskRecord[]): Node[] {
  const nodes = new Map(
    live.map((record): [string, Node] => {
      return [record.taskId, { record, agents: [], tickets: [], inlineCalls: 0, descendants: 0 }]
    }),
  )
  const roots: Node[] = []
  for (const node of nodes.values()) {
    const { parentId, tool, caller } = node.record
    const parent = parentId === undefined ? undefined : nodes.get(parentId)
    if (parent === undefined) roots.push(node)
    else if (isAgent(tool)) parent.agents.push(node)
    else if (caller === 'detached') parent.tickets.push(node)
    else parent.inlineCalls += 1
    for (let above = parent; above !== undefined; above = nodes.get(above.record.parentId ?? '')) above.descendants += 1
  }
  return roots
}

function toRow(node: Node, now: number, shown: ReadonlySet<Node>): TaskRow {
  const { record, agents, tickets, inlineCalls, descendants } = node
  const { taskId, depth, tool, progress, createdAt, description, targets } = record
  const isCall = !isAgent(tool)
  const details = [
    targets[0] === undefined ? '' : `→ ${targets[0]}`,
    isCall ? `ticket, ${msText(now - createdAt)}` : '',
    progress?.total !== undefined && !isCall ? `${progress.done ?? 0}/${progress.total}` : '',
    inlineCalls > 0 ? `${inlineCalls} inline` : '',
    tickets.length > 0 ? countText(tickets.length, 'ticket') : '',
    agents.every((agent) => shown.has(agent)) ? '' : `${descendants} below`,
  ]
  return {
    key: taskId,
    depth,
    state: stateOf(record),
    label: plainText(depth === 0 ? tool : labelOf(tool, lastPart(tool, description))),
    detail: details.filter((text) => text !== '').join(', '),
    ...(progress?.fraction === undefined ? {} : { fraction: progress.fraction }),
  }
}

function stateOf({ status, tool }: TaskRecord): RowState {
  if (status === 'queued' || status === 'waiting' || status === 'retrying' || status === 'stopping') return status
  return isAgent(tool) ? 'running' : 'ticket'
}

/** A folder's row stands below that of its parent, so its own name is enough. */
function lastPart(tool: string, description: string | undefined): string | undefined {
  return tool === 'folder' ? description?.split(/[/\\]/).at(-1) : description
}

function toEndedRows(ended: ReadonlyMap<string, EndedAgent>): Map<string, TaskRow[]> {
  const rows = new Map<string, TaskRow[]>()
  const done = new Map<string, string[]>()
  for (const [taskId, { parentId, label: path, status }] of ended) {
    const label = lastPart('folder', path) ?? path
    if (status === 'completed') done.set(parentId, [...(done.get(parentId) ?? []), label])
    else
      rows.set(parentId, [
        ...(rows.get(parentId) ?? []),
        { key: `${taskId} ended`, depth: 0, state: status, label, detail: status },
      ])
  }
  for (const [parentId, labels] of done) {
    const label = labels.length === 1 ? (labels[0] ?? '') : `${countText(labels.length, 'sub-agent')} done`
    const row: TaskRow = { key: `${parentId} done`, depth: 0, state: 'done', label, detail: '' }
    rows.set(parentId, [row, ...(rows.get(parentId) ?? [])])
  }
  return rows
}

function below(node: Node): (row: TaskRow) => TaskRow {
  return (row) => ({ ...row, depth: node.record.depth + 1 })
}
