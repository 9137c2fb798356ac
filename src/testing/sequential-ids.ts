import type { IdSource } from '../ports/id-source.ts'

/** Ids that tell their order: `task-1`, `task-2`, … Fit for tests only. */
export function sequentialIds(prefix = 'task'): IdSource {
  let last = 0
  return () => {
    last += 1
    return `${prefix}-${last}`
  }
}
