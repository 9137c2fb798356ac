/** The rows that a store would write for commits of one event each, numbered as it would number them. */
import type { Commit } from 'outlive'
import { EVENTS, TASKS, toEventRows, toTaskRows } from '../src/adapters/sql/group-rows.ts'
import { decideGroup, type GroupState } from '../src/adapters/sql/commit-decision.ts'
import type { BulkInsert, Row } from '../src/adapters/sql/bulk-insert.ts'

export interface FloorRows {
  readonly insert: BulkInsert
  readonly rows: readonly Row[]
}

/** Remembers what it has made rows of. */
export function createRowMaker(): (commits: readonly Commit[]) => readonly FloorRows[] {
  const state: GroupState = {
    ledger: { position: 0, place: 0, finishedCount: 0, finishedBytes: 0, counts: {} },
    owners: new Map(),
    tasks: new Map(),
    claims: new Map(),
    livingNodes: new Set(),
  }
  return (commits) => {
    const { writes } = decideGroup(state, commits, ({ key }) => key)
    return [
      { insert: TASKS, rows: toTaskRows(state, writes) },
      { insert: EVENTS, rows: toEventRows(state, writes) },
    ]
  }
}
