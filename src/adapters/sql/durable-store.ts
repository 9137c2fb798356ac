/** What the doors give. It names no type of a package that may not be installed. */
import type { ClusterStore } from '../../ports/cluster-store.ts'
import type { TaskStore } from '../../ports/task-store.ts'

/** A store in a database, which several processes may have. It is opened by its first call, if not by `open` before. */
export interface DurableStore extends TaskStore {
  readonly cluster: ClusterStore
  /**
   * Connects, and brings the tables up to date. Gives what the host should know about its database, a sentence each.
   *
   * @throws `store_unavailable` while the database does not answer, `store_unusable` when it needs a person
   */
  open(): Promise<readonly string[]>
}
