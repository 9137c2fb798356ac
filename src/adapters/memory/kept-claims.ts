/** What tasks hold in the store of one process. */
import type { Claim, Commit, CommitReply } from '../../ports/task-store.ts'
import type { Kept, Row } from './kept-rows.ts'

export interface KeptClaims {
  /** The answer to a change one of whose claims another task holds. */
  refusalOf(change: Commit): CommitReply | undefined
  take(row: Row, taken: readonly Claim[]): void
  /** The task of a row has ended. */
  free(row: Row): void
  /** The task of a row is dropped. */
  drop(row: Kept): void
  /** The id of the task. */
  holderOf(claim: Claim): string | undefined
}

export function createKeptClaims(): KeptClaims {
  const holders = new Map<string, string>()

  return {
    refusalOf({ claims, record }) {
      for (const claim of claims) {
        const taskId = holders.get(keyOf(claim))
        if (taskId !== undefined && taskId !== record.taskId) return { kind: 'claimed', claim, taskId }
      }
      return undefined
    },
    take(row, taken) {
      if (taken.length === 0) return
      for (const claim of taken) holders.set(keyOf(claim), row.record.taskId)
      row.claims = [...row.claims, ...taken]
    },
    free(row) {
      if (row.claims.length === 0) return
      for (const claim of row.claims) if (claim.kind !== 'dedupe') holders.delete(keyOf(claim))
      row.claims = row.claims.filter(({ kind }) => kind === 'dedupe')
    },
    drop: (row) => row.claims.forEach((claim) => holders.delete(keyOf(claim))),
    holderOf: (claim) => holders.get(keyOf(claim)),
  }
}

/** Owners hold no control characters, so the key is unambiguous. */
function keyOf(claim: Claim): string {
  return `${claim.owner}\u0000${claim.kind}\u0000${claim.key}`
}
