/** A store that remembers what it was asked to write. */
import { memoryStore, type Commit, type TaskStore } from 'outlive'

export interface RecordingStore extends TaskStore {
  /** Every commit that came, in its order. */
  readonly commits: readonly Commit[]
  /** The types of the events of each commit. */
  written(): readonly (readonly string[])[]
}

export function recordingStore(inner: TaskStore = memoryStore()): RecordingStore {
  const commits: Commit[] = []
  return {
    ...inner,
    commit(commit) {
      commits.push(commit)
      return inner.commit(commit)
    },
    commits,
    written: () => commits.map(({ events }) => events.map(({ type }) => type)),
  }
}
