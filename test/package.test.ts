import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { REPOSITORY, SCRATCH } from './support/repository.ts'

// The package as a user gets it: built and packed from a copy, unpacked into the node_modules of a project that has
// what the package declares and nothing else.

interface PackageJson {
  readonly name: string
  readonly files: readonly string[]
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
  readonly dependencies: Readonly<Record<string, string>>
}

const folder = join(SCRATCH, 'package')
const stage = join(folder, 'stage')
const consumer = join(folder, 'consumer')
const installed = join(consumer, 'node_modules/outlive')
const manifest = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as PackageJson
let packed: readonly string[] = []

const CONSUMER = `
import { createTaskSupervisor, defineTool, isTaskError, type RunOutcome, type TaskHandle } from 'outlive'
import { memoise, taskMachine, type TaskStatus } from 'outlive/machines'
import { controlTools, ticketText, type ControlTool } from 'outlive/tools'
import { postgresStore } from 'outlive/postgres'
import { sqliteStore, type SqliteDatabase } from 'outlive/sqlite'
import type { WebhookChannelOptions } from 'outlive/channels/webhook'
import { createActor } from 'xstate'

const tasks = createTaskSupervisor({ inlineMs: 1_000 })
const double = defineTool({ name: 'double', run: async (n: number) => n * 2 })
const outcome: RunOutcome<number> = await tasks.run(double, 21)
const task: TaskHandle<number> = await tasks.spawn(double, 4)
const value: number = await task.result()
const status: TaskStatus = (await task.record()).status
const seen: string[] = []
for await (const item of task.events()) seen.push(item.type)
task.events$.subscribe((item) => seen.push(item.type))
const missing = await tasks.result('nothing').catch((error: unknown) => isTaskError(error, 'task_not_found'))
const actor = createActor(memoise(taskMachine)).start()
const controls: readonly ControlTool[] = controlTools(tasks, { allow: ['task_result'] })
const control = await controls[0]?.execute({ task_id: task.taskId })
const ticket = ticketText(await task.background(), controls).includes('task_result')
await tasks.shutdown()
const file = sqliteStore({ file: 'tasks.db', durability: 'process' })
const kept: readonly string[] = await file.open()
await file.close()
const server = postgresStore({ url: 'postgres://localhost/tasks' }).durability
const database: SqliteDatabase | undefined = undefined
const webhooks: WebhookChannelOptions | undefined = undefined
console.log(JSON.stringify({ kept, server, database, webhooks, outcome, value, status, seen: seen.slice(0, 3), missing, state: actor.getSnapshot().value, ticket, control: control?.split('\\n') }))
`

/** Runs a program to its end. When it fails, what it said is the error. */
async function run(
  program: string,
  given: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  try {
    return await promisify(execFile)(program, given, options)
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string }
    throw new Error(`${program} ${given.join(' ')}\n${stdout}\n${stderr}`, { cause: error })
  }
}

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(stage, { recursive: true })
  for (const name of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'docs']) {
    if (existsSync(join(REPOSITORY, name))) cpSync(join(REPOSITORY, name), join(stage, name), { recursive: true })
  }
  const compiler = join(REPOSITORY, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [compiler, '-p', join(REPOSITORY, 'tsconfig.json'), '--outDir', join(stage, 'dist')])
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--loglevel=error'], { cwd: stage })
  const [tarball] = JSON.parse(stdout) as { readonly filename: string; readonly files: { readonly path: string }[] }[]
  packed = tarball?.files.map(({ path }) => path).sort() ?? []
  mkdirSync(installed, { recursive: true })
  await run('tar', ['-xzf', join(stage, tarball?.filename ?? ''), '-C', installed, '--strip-components=1'])
  for (const dependency of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types']) {
    const link = join(consumer, 'node_modules', dependency)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(REPOSITORY, 'node_modules', dependency), link)
  }
  writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }')
  writeFileSync(join(consumer, 'main.ts'), CONSUMER)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** What the compiler says about the consumer, libraries included. */
function typeCheckConsumer(options: ts.CompilerOptions): string[] {
  const program = ts.createProgram([join(consumer, 'main.ts')], {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: ['node'],
    typeRoots: [join(consumer, 'node_modules/@types')],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    ...options,
  })
  expect(program.getSourceFiles().some(({ fileName }) => fileName.startsWith(installed))).toBe(true)
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    return `${file?.fileName.replace(`${REPOSITORY}/`, '') ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
}

/** The packages whose files a program has loaded, by what V8 has seen. */
async function packagesLoadedBy(code: string): Promise<{ readonly packages: string[]; readonly files: string[] }> {
  const coverage = join(folder, `coverage-${Math.random().toString(36).slice(2)}`)
  await run(process.execPath, ['--input-type=module', '--eval', code], {
    cwd: consumer,
    env: { ...process.env, NODE_V8_COVERAGE: coverage, NODE_OPTIONS: '' },
  })
  const files = readdirSync(coverage).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { readonly url: string }[] }
    return result.flatMap(({ url }) => (url.startsWith('file:') ? [fileURLToPath(url)] : []))
  })
  const packages = files.flatMap((file) => {
    const name = /.*\/node_modules\/(?<name>@[^/]+\/[^/]+|[^/]+)\//.exec(file)?.groups?.['name']
    return name === undefined ? [] : [name]
  })
  return { packages: [...new Set(packages)].sort(), files }
}

/** A folder of its own in which no package is installed. Node looks for packages in the folders above, too. */
function folderWithoutPackages(): string {
  const bases = [tmpdir(), '/var/tmp', '/dev/shm', homedir()].filter((base) => existsSync(base))
  const base = bases.find((candidate) => !packagesReach(candidate))
  if (base === undefined)
    throw new Error(`Packages are installed above each of ${bases.join(', ')}: one has to be free.`)
  const folder = mkdtempSync(join(base, 'outlive-package-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Whether packages are installed in a folder or one above it. */
function packagesReach(folder: string): boolean {
  if (existsSync(join(folder, 'node_modules'))) return true
  return dirname(folder) !== folder && packagesReach(dirname(folder))
}

test('the tarball holds what is built, the documents and nothing else', () => {
  expect(packed.length).toBeGreaterThan(50)
  const strangers = packed.filter(
    (path) =>
      !/^(dist\/(src|machines)\/.*\.(js|d\.ts|js\.map)|docs\/.*|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/.test(
        path,
      ),
  )
  expect(strangers).toEqual([])
  expect(packed).toEqual(expect.arrayContaining(['CHANGELOG.md', 'LICENSE', 'package.json']))
  expect(packed.filter((path) => path.startsWith('docs/examples'))).toEqual([])
})

test('every subpath of the exports map leads to files of the tarball', () => {
  const targets = Object.entries(manifest.exports).flatMap(([, target]) =>
    typeof target === 'string' ? [target] : [target.types, target.default],
  )
  expect(targets.length).toBeGreaterThan(4)
  expect(targets.filter((target) => !packed.includes(target.replace('./', '')))).toEqual([])
})

test('a project that has the package and its dependencies compiles, libraries included', () => {
  const { NodeNext, ESNext } = ts.ModuleKind
  expect(typeCheckConsumer({ module: NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext })).toEqual([])
  const bundled = {
    module: ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    exactOptionalPropertyTypes: true,
  }
  // Under `exactOptionalPropertyTypes` the declarations of xstate 5.33 do not compile by themselves; ours do.
  expect(typeCheckConsumer(bundled).filter((report) => !report.startsWith('node_modules/xstate/'))).toEqual([])
})

test('the compiled project runs and gives what it should', async () => {
  const source = readFileSync(join(consumer, 'main.ts'), 'utf8')
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
  })
  writeFileSync(join(consumer, 'main.js'), outputText)
  const { stdout, stderr } = await run(process.execPath, ['--trace-warnings', 'main.js'], { cwd: consumer })
  expect(JSON.parse(stdout)).toEqual({
    kept: [],
    server: 'power',
    outcome: { kind: 'inline', value: 42, persisted: false },
    value: 8,
    status: 'completed',
    seen: ['task.queued', 'task.started', 'task.completed'],
    missing: true,
    state: { live: { work: 'queued', caller: 'attached' } },
    ticket: true,
    control: expect.arrayContaining(['```', '8']) as unknown,
  })
  expect(stderr).toBe('')
})

test('importing `outlive` loads its dependencies and no store, server or view library', async () => {
  const { packages, files } = await packagesLoadedBy("await import('outlive')")
  expect(packages).toEqual(['eventemitter3', 'nanoid', 'outlive', 'rxjs', 'xstate'])
  expect(files).toContain(join(installed, 'dist/src/task-supervisor.js'))
  expect(files.filter((file) => /src\/(testing|faces)\//.test(file))).toEqual([])
})

test('importing `outlive/machines` loads the charts and xstate', async () => {
  const { packages, files } = await packagesLoadedBy("await import('outlive/machines')")
  expect(packages).toEqual(['outlive', 'xstate'])
  const own = files.filter((file) => file.startsWith(installed))
  expect(own.length).toBeGreaterThan(3)
  expect(own.filter((file) => !file.startsWith(join(installed, 'dist/machines')))).toEqual([])
})

test('importing `outlive/tools` loads no more of the library than a model’s tools need', async () => {
  const { packages, files } = await packagesLoadedBy("await import('outlive/tools')")
  expect(packages).toEqual(['outlive'])
  const own = files.filter((file) => file.startsWith(installed)).map((file) => file.slice(installed.length + 1))
  expect(own).toContain('dist/src/faces/tools/index.js')
  expect(own.filter((file) => /src\/(task-supervisor|session|events|delivery|adapters|testing)/.test(file))).toEqual([])
})

test('a store whose packages are not installed names them', async () => {
  const elsewhere = folderWithoutPackages()
  cpSync(join(consumer, 'node_modules'), join(elsewhere, 'node_modules'), { recursive: true, verbatimSymlinks: true })
  const code = `
    import { isTaskError } from 'outlive'
    import { sqliteStore } from 'outlive/sqlite'
    import { postgresStore } from 'outlive/postgres'
    const said = []
    for (const store of [sqliteStore('tasks.db'), postgresStore('postgres://localhost/tasks')]) {
      await store.open().catch((error) => said.push(isTaskError(error, 'store_unusable') && error.message))
    }
    console.log(JSON.stringify(said))
  `
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: elsewhere })
  const said = 'This store needs the package kysely: npm install kysely'
  expect(JSON.parse(stdout)).toEqual([said, said])
  symlinkSync(join(REPOSITORY, 'node_modules/kysely'), join(elsewhere, 'node_modules/kysely'))
  const second = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: elsewhere })
  expect(JSON.parse(second.stdout)).toEqual([
    'This store needs the package libsql: npm install libsql',
    'This store needs the package pg: npm install pg',
  ])
})

test('the webhook channel loads no package until one is made, and names what is not installed', async () => {
  const { packages, files } = await packagesLoadedBy("await import('outlive/channels/webhook')")
  expect(packages).toEqual(['outlive'])
  expect(files.filter((file) => /src\/(task-supervisor|session|events|delivery|runtime|testing)/.test(file))).toEqual(
    [],
  )
  const code = `
    import { webhookChannel } from 'outlive/channels/webhook'
    const secret = 'whsec_' + Buffer.alloc(32).toString('base64')
    try {
      webhookChannel({ anyUrl: { secret } })
      console.log(JSON.stringify('made'))
    } catch (error) {
      console.log(JSON.stringify([error.name, error.message]))
    }
  `
  const away = folderWithoutPackages()
  cpSync(installed, join(away, 'node_modules/outlive'), { recursive: true })
  const said = async (): Promise<unknown> =>
    JSON.parse((await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: away })).stdout)
  for (const npm of ['ipaddr.js', 'standardwebhooks']) {
    expect(await said()).toEqual(['TypeError', `The webhook channel needs the package ${npm}: npm install ${npm}`])
    symlinkSync(join(REPOSITORY, 'node_modules', npm), join(away, 'node_modules', npm))
  }
  expect(await said()).toBe('made')
})

test('the chat channel loads no package until it sends, and names what is not installed', async () => {
  const { packages } = await packagesLoadedBy("await import('outlive/channels/chat')")
  expect(packages).toEqual(['outlive'])
  const code = `
    import { chatChannel } from 'outlive/channels/chat'
    try {
      chatChannel({ platform: 'telegram', config: { botToken: '1:x' } })
      console.log(JSON.stringify('made'))
    } catch (error) {
      console.log(JSON.stringify([error.name, error.message]))
    }
  `
  const away = folderWithoutPackages()
  cpSync(installed, join(away, 'node_modules/outlive'), { recursive: true })
  const said = async (): Promise<unknown> =>
    JSON.parse((await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: away })).stdout)
  mkdirSync(join(away, 'node_modules/@chat-adapter'))
  for (const npm of ['chat', '@chat-adapter/telegram']) {
    expect(await said()).toEqual(['TypeError', `The channel for telegram needs the package ${npm}: npm install ${npm}`])
    symlinkSync(join(REPOSITORY, 'node_modules', npm), join(away, 'node_modules', npm))
  }
  expect(await said()).toBe('made')
})

test.each(['sqlite', 'postgres'])('importing `outlive/%s` loads no package', async (name) => {
  const { packages, files } = await packagesLoadedBy(`await import('outlive/${name}')`)
  expect(packages).toEqual(['outlive'])
  const own = files.filter((file) => file.startsWith(installed)).map((file) => file.slice(installed.length + 1))
  expect(own).toContain(`dist/src/adapters/sql/${name}-store.js`)
  expect(own.filter((file) => /src\/(task-supervisor|session|events|delivery|faces|testing)/.test(file))).toEqual([])
})

test('importing `outlive/redis` loads no client of Redis, and without one a store says what is missing', async () => {
  const { packages, files } = await packagesLoadedBy("await import('outlive/redis')")
  expect(packages).toEqual(['outlive'])
  expect(files.filter((file) => /src\/(task-supervisor|session|events|delivery|runtime|testing)/.test(file))).toEqual(
    [],
  )
  const code = `
    import { redisStore } from 'outlive/redis'
    const { code, message } = await redisStore().open().catch((error) => error)
    console.log(JSON.stringify({ code, message }))
  `
  const away = folderWithoutPackages()
  cpSync(installed, join(away, 'node_modules/outlive'), { recursive: true })
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: away })
  expect(JSON.parse(stdout)).toEqual({
    code: 'store_unusable',
    message: expect.stringContaining('npm install ioredis') as unknown,
  })
})

test('what the exports map does not name cannot be imported, and `require` gets the same package', async () => {
  const code = `
    import { createRequire } from 'node:module'
    const refused = []
    for (const path of ['outlive/testing/faulty-store', 'outlive/dist/src/index.js', 'outlive/src/index.ts', 'outlive/runtime']) {
      await import(path).catch(({ code }) => refused.push(code))
    }
    const manifest = createRequire(process.cwd() + '/main.js')('outlive/package.json')
    console.log(JSON.stringify({ refused: [...new Set(refused)], count: refused.length, name: manifest.name }))
  `
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: consumer })
  expect(JSON.parse(stdout)).toEqual({ refused: ['ERR_PACKAGE_PATH_NOT_EXPORTED'], count: 4, name: 'outlive' })
})
