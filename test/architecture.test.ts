import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ARCHITECTURE_RULES, AROUND, LAYERS, type ArchitectureRule } from './support/architecture-rules.ts'
import { cruiseModules } from './support/cruise-modules.ts'
import { listFiles, REPOSITORY, SCRATCH } from './support/repository.ts'

const FOLDERS = ['machines', 'src']

let scratch: string
beforeAll(() => {
  mkdirSync(SCRATCH, { recursive: true })
  scratch = mkdtempSync(join(SCRATCH, 'architecture-'))
})
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

test('imports point the way the architecture says, in every file on disk', async () => {
  const onDisk = FOLDERS.flatMap((folder) => listFiles(folder, '.ts'))
  const { files, violations } = await cruiseModules(REPOSITORY, FOLDERS, ARCHITECTURE_RULES)
  expect(violations).toEqual([])
  expect(files).toEqual(onDisk)
  expect(files.length).toBeGreaterThan(10)
})

test('every file has a place in the architecture', () => {
  const places = [...LAYERS.map(({ path }) => path), ...AROUND].map((path) => new RegExp(path))
  const files = FOLDERS.flatMap((folder) => listFiles(folder, '.ts'))
  expect(files.filter((file) => !places.some((place) => place.test(file)))).toEqual([])
})

test.each(ARCHITECTURE_RULES)('the rule $name reports the import that breaks it', async (rule) => {
  const root = writeViolation(rule)
  const { violations } = await cruiseModules(root, FOLDERS, ARCHITECTURE_RULES)
  expect(violations.filter((violation) => violation.startsWith(`${rule.name}: ${rule.brokenBy.file} → `))).not.toEqual(
    [],
  )
})

test('a type of rxjs may be named anywhere in src, and every import below is allowed', async () => {
  const root = mkdtempSync(join(scratch, 'allowed-'))
  writeModule(root, 'machines/vocabulary.ts', "import 'xstate'")
  writeModule(root, 'src/ports/clock.ts', "import '../../machines/vocabulary.ts'\nimport type {} from 'rxjs'")
  writeModule(root, 'src/events/hub.ts', "import '../ports/clock.ts'\nimport 'rxjs'\nimport 'eventemitter3'")
  writeModule(
    root,
    'src/runtime/journal/journal.ts',
    "import '../../events/hub.ts'\nimport 'xstate'\nimport 'node:async_hooks'",
  )
  writeModule(root, 'src/adapters/system/random-id.ts', "import '../../ports/clock.ts'\nimport 'nanoid'")
  const { files, violations } = await cruiseModules(root, FOLDERS, ARCHITECTURE_RULES)
  expect(violations).toEqual([])
  expect(files).toHaveLength(5)
})

/** Writes the smallest tree in which the rule is broken. */
function writeViolation({ brokenBy: { file, imports, mutual } }: ArchitectureRule): string {
  const root = mkdtempSync(join(scratch, 'violation-'))
  for (const folder of FOLDERS) mkdirSync(join(root, folder))
  const importsFile = imports.endsWith('.ts')
  writeModule(root, file, `import '${importsFile ? toSpecifier(file, imports) : imports}'`)
  if (importsFile) writeModule(root, imports, mutual === true ? `import '${toSpecifier(imports, file)}'` : 'export {}')
  return root
}

function writeModule(root: string, file: string, source: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true })
  writeFileSync(join(root, file), `${source}\n`)
}

function toSpecifier(from: string, to: string): string {
  const path = relative(dirname(from), to).replaceAll('\\', '/')
  return path.startsWith('.') ? path : `./${path}`
}
