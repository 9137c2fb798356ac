import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { createTallyReporter } from './support/tally-reporter.ts'

const fromRoot = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

const behaviour = ['test/behaviour/**/*.test.ts']
const execArgv = ['--unhandled-rejections=strict', '--trace-warnings', '--expose-gc']
const growth = ['test/growth/**/*.test.ts']
const HANGS_MS = 300_000

export default defineConfig({
  root: fromRoot('.'),
  resolve: {
    // The package's own names lead to its sources, so that what users read and write is what the tests run.
    alias: [
      { find: /^outlive$/, replacement: fromRoot('src/index.ts') },
      { find: /^outlive\/testing$/, replacement: fromRoot('src/testing/index.ts') },
      { find: /^outlive\/testing\/properties$/, replacement: fromRoot('src/testing/properties/index.ts') },
      { find: /^outlive\/machines$/, replacement: fromRoot('machines/index.ts') },
      { find: /^outlive\/redis$/, replacement: fromRoot('src/adapters/redis/index.ts') },
      { find: /^outlive\/tools$/, replacement: fromRoot('src/faces/tools/index.ts') },
      { find: /^outlive\/sqlite$/, replacement: fromRoot('src/adapters/sql/sqlite.ts') },
      { find: /^outlive\/channels\/chat$/, replacement: fromRoot('src/adapters/channels/chat/index.ts') },
      { find: /^outlive\/channels\/webhook$/, replacement: fromRoot('src/adapters/channels/webhook/index.ts') },
      { find: /^outlive\/postgres$/, replacement: fromRoot('src/adapters/sql/postgres.ts') },
    ],
  },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    execArgv,
    setupFiles: ['test/support/strict-process.ts'],
    // They end what hangs and judge nothing: a busy machine makes a test of seconds one of minutes.
    testTimeout: HANGS_MS,
    hookTimeout: HANGS_MS,
    expect: { poll: { timeout: HANGS_MS / 5 } },
    reporters: ['default', createTallyReporter(process.env['TEST_TALLY_FILE'])],
    projects: [
      {
        extends: true,
        test: { name: 'memory', include: behaviour, provide: { store: 'memory', memoise: true } },
      },
      {
        extends: true,
        test: { name: 'late-store', include: behaviour, provide: { store: 'late', memoise: true } },
      },
      {
        extends: true,
        test: { name: 'real-machine', include: behaviour, provide: { store: 'memory', memoise: false } },
      },
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...behaviour, ...growth],
          provide: { store: 'memory', memoise: true },
        },
      },
      {
        extends: true,
        test: {
          name: 'growth',
          include: growth,
          provide: { store: 'memory', memoise: true },
          // What is measured runs after everything else, alone, and with a young generation that one turn does not
          // outgrow: a ratio tells how the code grows, not where the collector begins to copy.
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
          execArgv: [...execArgv, '--min-semi-space-size=64', '--max-semi-space-size=128'],
        },
      },
    ],
  },
})
