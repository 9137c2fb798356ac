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
  /** The host's ledger; absent where there is none. `behind`: tasks that it has not been told all of. */
  readonly projection?: { readonly isDegraded: boolean; readonly behind: number }
  /** This process, among those that have the store; absent where it is alone. Without a lease it is about to stop. */
  readonly node?: { readonly id: string; readonly hasLease: boolean }
}

export function readHealth(parts: {
  readonly phase: SupervisorPhase
  readonly isOpen: boolean
  readonly writer: { isPaused(): boolean; isFull(): boolean; unansweredCount(): number }
  readonly membership: { nodeId(): string | undefined; isMember(): boolean }
  readonly projector: { isDegraded(): boolean; behind(): number } | undefined
}): Health {
  const { phase, isOpen, writer, membership, projector } = parts
  const nodeId = membership.nodeId()
  const hasLease = membership.isMember()
  const store = isOpen ? (writer.isPaused() ? 'failing' : 'answering') : 'opening'
  return Object.freeze({
    isReady: phase === 'accepting' && store === 'answering' && hasLease && !writer.isFull(),
    phase,
    store,
    unsaved: writer.unansweredCount(),
    ...(projector === undefined
      ? {}
      : { projection: Object.freeze({ isDegraded: projector.isDegraded(), behind: projector.behind() }) }),
    ...(nodeId === undefined ? {} : { node: Object.freeze({ id: nodeId, hasLease }) }),
  })
}
