/** `late` answers late and out of order. */
export type StoreUnderTest = 'memory' | 'late'

declare module 'vitest' {
  /** What a test project tells the behaviour tests that run in it; they read it with `inject`. */
  interface ProvidedContext {
    readonly store: StoreUnderTest
    /** Whether tasks use the memoised chart or the machine itself. */
    readonly memoise: boolean
  }
}
