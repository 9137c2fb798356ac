/** What happens in a survey, read off the session's events: the counts, and the few facts that a person wants to read. */
import { isTaskEvent, type Approval, type Session, type TaskEvent } from 'outlive'
import type { Surveyed } from './agents/folder-agent.ts'
import { headline } from './headline.ts'
import { isAgent, labelOf, type EndedAgent, type Fact } from './facts.ts'
import { bytesText, countText, msText, plainText } from './texts.ts'

export interface SurveyCounts {
  /** Calls of tools that answered within their inline time. */
  inline: number
  /** Calls that outlived it and got a ticket. */
  tickets: number
  /** Tasks that wait for a slot, and how many did at the same time. */
  queued: number
  mostQueued: number
  /** Attempts that failed and were followed by another. */
  retries: number
  /** Tasks that ended as cancelled, and how many of them somebody asked for by name: the tops of the subtrees. */
  cancelled: number
  cancelledTrees: string[]
  failed: number
  agents: number
  tokens: number
}

export interface SurveyLog {
  readonly counts: Readonly<SurveyCounts>
  readonly ended: ReadonlyMap<string, EndedAgent>
  say(fact: Fact): void
  /** Calls the listener with the latest facts, then with each new one. */
  onFact(listener: (fact: Fact) => void): () => void
}

const MAX_RECENT = 50

interface Known {
  label: string
  isQueued: boolean
  hasTicket: boolean
  tokens: number
}

export function createSurveyLog(session: Session): SurveyLog {
  const counts: SurveyCounts = {
    inline: 0,
    tickets: 0,
    queued: 0,
    mostQueued: 0,
    retries: 0,
    cancelled: 0,
    cancelledTrees: [],
    failed: 0,
    agents: 0,
    tokens: 0,
  }
  const live = new Map<string, Known>()
  const ended = new Map<string, EndedAgent>()
  const recent: Fact[] = []
  const listeners = new Set<(fact: Fact) => void>()

  const say = (fact: Fact): void => {
    recent.push(fact)
    if (recent.length > MAX_RECENT) recent.shift()
    for (const listener of listeners) listener(fact)
  }

  const tell = ({ depth }: TaskEvent, kind: Fact['kind'], text: string): void =>
    say({ kind, depth, text: plainText(text) })

  const end = (event: TaskEvent & { readonly type: 'task.completed' | 'task.failed' | 'task.cancelled' }): void => {
    const { label = event.tool, hasTicket = false, tokens = 0, isQueued = false } = live.get(event.taskId) ?? {}
    live.delete(event.taskId)
    if (isQueued) counts.queued -= 1
    counts.tokens += tokens
    if (isAgent(event.tool)) {
      for (const [taskId, { parentId }] of ended) if (parentId === event.taskId) ended.delete(taskId)
      const status =
        event.type === 'task.completed' ? 'completed' : event.type === 'task.failed' ? 'failed' : 'cancelled'
      if (event.parentId !== undefined) ended.set(event.taskId, { parentId: event.parentId, label, status })
    } else if (event.tool !== headline.name && !hasTicket && event.type !== 'task.cancelled') counts.inline += 1
    switch (event.type) {
      case 'task.completed':
        if (hasTicket) tell(event, 'collected', `${label} was ready after ${msText(event.durationMs)}`)
        return
      case 'task.failed':
        counts.failed += 1
        return tell(event, 'failed', `${label}: ${event.failure.message}`)
      case 'task.cancelled':
        counts.cancelled += 1
        // What hangs below a cancelled task is stopped by its parent; the one that was meant says who asked, and why.
        if (event.stopCause.reason === 'parent') return
        counts.cancelledTrees.push(label)
        return tell(event, 'cancelled', `${label} and all below it (${event.stopCause.note ?? event.stopCause.reason})`)
    }
  }

  const start = (taskId: string): void => {
    const known = live.get(taskId)
    if (known?.isQueued !== true) return
    known.isQueued = false
    counts.queued -= 1
    counts.mostQueued = Math.max(counts.mostQueued, counts.queued)
  }

  const take = (event: TaskEvent): void => {
    switch (event.type) {
      case 'task.queued':
        if (isAgent(event.tool)) counts.agents += 1
        counts.queued += 1
        live.set(event.taskId, {
          label: labelOf(event.tool, event.description),
          isQueued: true,
          hasTicket: false,
          tokens: 0,
        })
        return
      case 'task.started':
        return start(event.taskId)
      case 'task.backgrounded': {
        const known = live.get(event.taskId)
        if (known === undefined || event.reason !== 'deadline') return
        known.hasTicket = true
        counts.tickets += 1
        return tell(event, 'ticket', `${known.label} goes on in the background as task ${event.taskId}`)
      }
      case 'task.redirected':
        return tell(event, 'redirected', `the result of ${event.tool} goes to ${event.target}`)
      case 'task.usage': {
        const known = live.get(event.taskId)
        if (known !== undefined) known.tokens = event.tokens
        return
      }
      case 'task.custom': {
        const { files, folders, bytes, lines } = event.payload as Surveyed
        const text = [
          countText(files, 'file'),
          countText(folders, 'folder'),
          bytesText(bytes),
          countText(lines, 'line'),
        ]
        return tell(event, 'folder', `${live.get(event.taskId)?.label ?? ''}: ${text.join(', ')}`)
      }
      case 'task.completed':
      case 'task.failed':
      case 'task.cancelled':
        return end(event)
      case 'task.message': {
        const { label = event.tool } = live.get(event.taskId) ?? {}
        const { label: sender = 'somebody' } = live.get(event.from.taskId ?? '') ?? {}
        return tell(
          event,
          'message',
          `${label} has ${event.state === 'read' ? 'read' : 'not read'} what ${sender} told it`,
        )
      }
      case 'task.asked':
        return tell(event, 'asked', `${String(event.question)} (y or n; yes if nobody says)`)
      case 'task.answered': {
        const said = (event.answer as Approval | undefined)?.approved === false ? 'no' : 'yes'
        return tell(event, 'answered', event.by === 'answer' ? said : `${said}, as nobody said anything`)
      }
      case 'task.retrying': {
        const { label = event.tool } = live.get(event.taskId) ?? {}
        counts.retries += 1
        return tell(event, 'retrying', `${label}: ${event.failure.message}; again in ${msText(event.dueAt - event.at)}`)
      }
      case 'task.attached':
      case 'task.progress':
      case 'task.output':
      case 'task.resumed':
      case 'task.finishing':
      case 'task.stopping':
        return
    }
  }

  session.events$({ after: 'now' }).subscribe((item) => {
    if (isTaskEvent(item)) take(item)
  })

  return {
    counts,
    ended,
    say,
    onFact(listener) {
      recent.forEach(listener)
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
