/** Tasks whose process is gone: how they are found, and in what order they are recovered. */
import { LIVE_STATUSES } from '../../../machines/vocabulary.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { TaskStore } from '../../ports/task-store.ts'
import type { Recover } from './recovery.ts'

const PAGE = 500
/** So many at a time: enough for a store to group their commits. */
const AT_ONCE = 100

/** What has not ended of a node, or of all where none is named, and does not live here. */
export async function findOrphans(
  store: TaskStore,
  node: string | undefined,
  isLive: (taskId: string) => boolean,
): Promise<StoredRecord[]> {
  const orphans: StoredRecord[] = []
  const query = { status: LIVE_STATUSES, limit: PAGE, ...(node === undefined ? {} : { node }) }
  for (let after: number | undefined = 0; after !== undefined;) {
    const page = await store.list({ after, ...query })
    for (const record of page.records) if (!isLive(record.taskId)) orphans.push(record)
    after = page.next
  }
  return orphans
}

/** The deepest first, a level at a time, as long as it may go on. Says whether none is left. */
export async function recoverAll(
  orphans: readonly StoredRecord[],
  recover: (orphan: StoredRecord) => ReturnType<Recover>,
  mayGoOn: () => boolean,
): Promise<boolean> {
  const levels = new Map<number, StoredRecord[]>()
  for (const orphan of orphans) {
    const level = levels.get(orphan.depth)
    if (level === undefined) levels.set(orphan.depth, [orphan])
    else level.push(orphan)
  }
  let isDone = true
  for (const depth of [...levels.keys()].toSorted((a, b) => b - a)) {
    const level = levels.get(depth) ?? []
    for (let from = 0; from < level.length; from += AT_ONCE) {
      if (!mayGoOn()) return false
      const answers = await Promise.all(level.slice(from, from + AT_ONCE).map(recover))
      if (answers.includes('left')) isDone = false
    }
  }
  return isDone
}
