/** Keys that are remembered for a while: the oldest go once there are too many. */
export interface RecentKeys {
  add(key: string): void
  has(key: string): boolean
}

export function createRecentKeys(maxKeys: number): RecentKeys {
  const keys = new Set<string>()
  return {
    add(key) {
      keys.delete(key)
      keys.add(key)
      const [oldest] = keys
      if (keys.size > maxKeys && oldest !== undefined) keys.delete(oldest)
    },
    has: (key) => keys.has(key),
  }
}
