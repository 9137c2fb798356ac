/** Writes how a run ended as one line, `N passed, N failed`, for a script that has to say it last. */
import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/** A reporter that does nothing when it is given no file. An error outside any test counts as a failure. */
export function createTallyReporter(file: string | undefined): Reporter {
  return {
    onTestRunEnd(testModules, unhandledErrors) {
      if (file === undefined) return
      let passed = 0
      let failed = unhandledErrors.length
      for (const testModule of testModules) {
        failed += countFailuresOutsideTests(testModule)
        for (const test of testModule.children.allTests()) {
          const { state } = test.result()
          if (state === 'passed') passed += 1
          if (state === 'failed') failed += 1
        }
      }
      writeFileSync(file, `${passed} passed, ${failed} failed\n`)
    },
  }
}

/** Hooks and imports that failed: of the file itself, and of the suites in it. */
function countFailuresOutsideTests(testModule: TestModule): number {
  let errors = testModule.errors().length
  for (const suite of testModule.children.allSuites()) errors += suite.errors().length
  return errors
}
