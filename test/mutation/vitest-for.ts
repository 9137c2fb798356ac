/** The settings of vitest for a run with mutants: some test files, each once, in the threads that Stryker asks for. */
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import everything from '../vitest.config.ts'

export function vitestFor(include: readonly string[]): ViteUserConfig {
  const { root, resolve } = everything
  return defineConfig({
    ...(root === undefined ? {} : { root }),
    ...(resolve === undefined ? {} : { resolve }),
    test: {
      include: [...include],
      provide: { store: 'memory', memoise: true },
      setupFiles: ['test/support/strict-process.ts'],
      testTimeout: 15_000,
    },
  })
}
