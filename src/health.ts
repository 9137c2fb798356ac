/** Whether a supervisor can do its work just now: what a load balancer asks before it sends some. */
import type { SupervisorPhase } from '../machines/vocabulary.ts'

export interface Health {
  /** New work is taken and kept. */
  readonly isReady: boolean
  readonly phase: SupervisorPhase
  /**
   * `opening`: it has not been used yet, or cannot be opened. `answering`: its last answer came in time. `failing`: what is
   * to be written waits for it.
   */
  readonly store: 'opening' | 'answering' | 'failing'
  /** Commits that the store has not answered. */
  readonly unsaved: number
  /** This process, among those that have the store; absent where it is alone. Without a lease it is about to stop. */
  readonly node?: { readonly id: string; readonly hasLease: boolean }
}

export function readHealth(parts: {
  readonly phase: SupervisorPhase
  readonly isOpen: boolean
  readonly writer: { isPaused(): boolean; isFull(): boolean; unansweredCount(): number }
  readonly membership: { nodeId(): string | undefined; isMember(): boolean }
}): Health {
  const { phase, isOpen, writer, membership } = parts
  const nodeId = membership.nodeId()
  const hasLease = membership.isMember()
  const store = isOpen ? (writer.isPaused() ? 'failing' : 'answering') : 'opening'
  return Object.freeze({
    isReady: phase === 'accepting' && store === 'answering' && hasLease && !writer.isFull(),
    phase,
    store,
    unsaved: writer.unansweredCount(),
    ...(nodeId === undefined ? {} : { node: Object.freeze({ id: nodeId, hasLease }) }),
  })
}
