import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { CancelReport } from 'outlive'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findBiggest, startSurvey, type Ending, type SurveyRun } from '../docs/examples/survey/host.ts'
import { readCommandLine, type SurveyOptions } from '../docs/examples/survey/options.ts'
import { toTaskRows } from '../docs/examples/survey/view/task-rows.ts'
import { SCRATCH } from './support/repository.ts'
import { buildProgram, runProgram } from './support/child-program.ts'

// The survey in docs/examples, on real files: in this process for what it finds, and as a process for how it ends.

// A machine may be busy: what takes long is waited for.
const scratch = mkdtempSync(join(tmpdir(), 'outlive survey test '))
const sample = join(scratch, 'a sample')
const reports = join(scratch, 'reports')

/** By path: text, an empty file, bytes that are no UTF-8, one file that gzip needs a while for. */
const FILES: Readonly<Record<string, Buffer>> = {
  'readme.md': Buffer.from('one two\nthree TODO TODO\n'),
  'no end of line': Buffer.from('  a\tb\n\nc'),
  empty: Buffer.alloc(0),
  'not utf-8': Buffer.from([0xff, 0xfe, 0x0a, 0x54, 0x4f, 0x44, 0x4f, 0xc3, 0x0a]),
  'packs well.txt': Buffer.from('the same line again\n'.repeat(500)),
  'deep/er/est/leaf.txt': Buffer.from('TODO\n'),
  'deep/er/twin.txt': Buffer.from(manyLines('twin')),
  'deep/er/est/other.txt': Buffer.from(manyLines('twin')),
  'noise/large.bin': randomBytes(8_000_000),
  ...Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`many/${n}.txt`, Buffer.from(`file number ${n}\n`)])),
}

beforeAll(() => {
  for (const [path, content] of Object.entries(FILES)) {
    mkdirSync(dirname(join(sample, path)), { recursive: true })
    writeFileSync(join(sample, path), content)
  }
  mkdirSync(join(sample, 'node_modules/left-out'), { recursive: true })
  writeFileSync(join(sample, 'node_modules/left-out/index.js'), 'TODO')
  symlinkSync(sample, join(sample, 'deep/loop'))
})

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

describe('what a survey finds', () => {
  test('its totals agree with an independent count, whether all calls answer inline or all get a ticket', async () => {
    const inline = await finish(await startSurvey(optionsFor('--inline-ms', '600000', '--compare-ms', '0')))
    const ticketed = await finish(await startSurvey(optionsFor('--inline-ms', '0', '--compare-ms', '0')))
    expect(inline.ending.report?.totals).toMatchObject(countByHand(() => true))
    expect(ticketed.ending.report?.totals).toEqual(inline.ending.report?.totals)

    const large = Object.values(FILES).filter(({ length }) => length >= 4_096).length
    const calls = 3 * Object.keys(FILES).length + large
    expect(inline.run.log.counts).toMatchObject({ inline: calls, tickets: 0, cancelled: 0, failed: 0 })
    expect(ticketed.run.log.counts).toMatchObject({ inline: 0, tickets: calls, cancelled: 0, failed: 0 })
  })

  test('the largest and the most compressible file come first, with what the tools said of them', async () => {
    const { ending } = await finish(await startSurvey(optionsFor('--compare-ms', '0')))
    const content = FILES['noise/large.bin'] ?? Buffer.alloc(0)
    expect(ending.report?.totals.largest[0]).toMatchObject({
      path: 'noise/large.bin',
      bytes: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    })
    expect(ending.report?.totals.mostCompressible[0]).toMatchObject({ path: 'packs well.txt', bytes: 10_000 })
    expect(ending.report?.totals.mostHits[0]).toMatchObject({ path: 'readme.md', hits: 2 })
  })

  test('a quick call answers inline while one that outlives its soft deadline gets a ticket', async () => {
    const folder = join(scratch, 'quick and slow')
    mkdirSync(folder)
    for (let n = 0; n < 30; n += 1) writeFileSync(join(folder, `${n}.txt`), `${n}`)
    // gzip needs longer than the inline time for this one, on any machine.
    writeFileSync(join(folder, 'slow.bin'), randomBytes(64_000_000))
    const flags = ['--inline-ms', '300', '--compare-ms', '0', '--tools', 'digest,compress']
    const { run, ending } = await finish(await startSurvey({ ...optionsFor(...flags), folder }))
    expect(run.log.counts.inline).toBeGreaterThan(0)
    expect(run.log.counts.tickets).toBeGreaterThan(0)
    expect(run.log.counts.inline + run.log.counts.tickets).toBe(32)
    expect(ending.report?.totals.largest[0]?.packedBytes).toBeGreaterThan(60_000_000)
  })

  test('its headline reaches the console and a webhook whose receiver verifies it, once each', async () => {
    const { ending } = await finish(await startSurvey(optionsFor('--compare-ms', '0')))
    const [text = '', ...more] = ending.received.texts
    expect(more).toEqual([])
    for (const told of [text, ending.printed]) expect(told).toContain(`${Object.keys(FILES).length} files with`)
  })

  test('the report is redirected to a file, and is there in full', async () => {
    const { ending } = await finish(await startSurvey(optionsFor('--compare-ms', '60000')))
    expect(ending.delivery).toMatchObject({ state: 'delivered', target: 'file:survey-report.md' })
    const [header = '', fence, ...rest] = readFileSync(ending.reportPath, 'utf8').trimEnd().split('\n')
    expect(header).toMatch(/^`survey` \(`survey`\) completed in .* s · task /)
    expect([fence, rest.pop()]).toEqual(['```json', '```'])
    expect(JSON.parse(rest.join('\n'))).toEqual(ending.report)
    expect(ending.report?.similar?.[0]?.paths.toSorted()).toEqual(['deep/er/est/other.txt', 'deep/er/twin.txt'])
  })
})

describe('what is asked', () => {
  test('the question about similar files is answered by whoever is there, and no means no', async () => {
    const run = await startSurvey(optionsFor('--compare-ms', '60000', '--ask-ms', '600000'))
    await expect.poll(async () => (await run.session.list({ status: 'waiting' })).tasks).toHaveLength(1)
    await run.answer(false)
    const { ending } = await finish(run)
    expect(ending.report).not.toHaveProperty('similar')
    expect(ending.report?.totals.isComplete).toBe(true)
  })

  test('without an answer the default is taken after a moment, and --ask-ms 0 asks nothing', async () => {
    const asked = await finish(await startSurvey(optionsFor('--compare-ms', '60000', '--ask-ms', '10')))
    expect(asked.ending.report?.similar).toHaveLength(1)
    const run = await startSurvey(optionsFor('--compare-ms', '60000', '--ask-ms', '0'))
    const facts: string[] = []
    run.log.onFact(({ kind }) => void facts.push(kind))
    expect((await finish(run)).ending.report?.similar).toHaveLength(1)
    expect(facts).not.toContain('asked')
  })
})

test('child processes that fail are followed by others, and the survey finds what it finds without that', async () => {
  const { run, ending } = await finish(await startSurvey(optionsFor('--compare-ms', '0', '--flaky', '3')))
  expect(run.log.counts).toMatchObject({ retries: 3, failed: 0 })
  expect(ending.report?.totals).toMatchObject(countByHand(() => true))
  expect(ending.report?.totals.mostCompressible[0]?.packedBytes).toBeGreaterThan(0)
})

test('with one slot for everything the survey finds the same, and shows how many waited', async () => {
  const { run, ending } = await finish(await startSurvey(optionsFor('--compare-ms', '0', '--at-once', '1')))
  expect(ending.report?.totals).toMatchObject(countByHand(() => true))
  expect(run.log.counts.mostQueued).toBeGreaterThan(1)
  expect(run.log.counts.queued).toBe(0)
})

test('when all files are read, the search for similar files is told to end, and ends with what it has', async () => {
  const run = await startSurvey({
    ...optionsFor('--compare-ms', '600000', '--ask-ms', '0', '--tools', 'count'),
    folder: alike(),
  })
  const facts: string[] = []
  run.log.onFact(({ kind, text }) => void (kind === 'message' && facts.push(text)))
  const { ending } = await finish(run)
  expect(facts).toEqual([expect.stringMatching(/^duplicates similar files has read what survey /)])
  expect(run.log.counts.cancelledTrees).toEqual(['compare 300 × .txt'])
  expect(ending.report?.totals).toMatchObject({ files: 300, isComplete: true })
  expect(ending.report).toHaveProperty('similar')
})

describe('what is cancelled', () => {
  test('a cancelled subtree is left out of the totals, and everything else is counted', async () => {
    const { ending, run } = await finish(await startSurvey(optionsFor('--cancel', 'deep/er/', '--compare-ms', '0')))
    expect(run.log.counts.cancelledTrees).toEqual(['deep/er'])
    expect(run.log.counts.cancelled).toBeGreaterThan(1)
    expect(ending.report?.totals).toMatchObject({
      ...countByHand((path) => !path.startsWith('deep/er/')),
      folders: 3,
      cancelled: ['deep/er'],
      isComplete: true,
    })
  })

  test('the search for similar files is cancelled when its budget is used up, and the survey goes on', async () => {
    const { ending, run } = await finish(await startSurvey({ ...optionsFor('--compare-ms', '1'), folder: alike() }))
    expect(run.log.counts.cancelledTrees).toEqual(['duplicates similar files'])
    expect(ending.report?.totals).toMatchObject({ files: 300, isComplete: true })
  })

  test('a sub-agent that is cancelled with its child leaves what both had found', async () => {
    const run = await startSurvey({ ...optionsFor('--compare-ms', '600000'), folder: alike() })
    const reports = new Map<string, Promise<CancelReport>>()
    run.session.events$().subscribe((item) => {
      if (item.type !== 'task.progress' || item.tool !== 'compare' || item.parentId === undefined) return
      if (!reports.has(item.parentId)) reports.set(item.parentId, run.session.cancel(item.parentId))
    })
    const { ending } = await finish(run)
    const [report] = await Promise.all(reports.values())
    expect(report).toMatchObject({ count: 2, tasks: [{ status: 'cancelled' }, { status: 'cancelled' }] })
    expect(ending.report?.similar?.length).toBeGreaterThan(0)
  })

  test('the key cancels the folder with the most live tasks below it, and never the whole for a part', () => {
    const records = [
      { taskId: 'root', tool: 'survey', depth: 0 },
      { taskId: 'top', tool: 'folder', depth: 1, parentId: 'root' },
      { taskId: 'small', tool: 'folder', depth: 2, parentId: 'top' },
      { taskId: 'big', tool: 'folder', depth: 2, parentId: 'top' },
      { taskId: 'call', tool: 'count', depth: 3, parentId: 'big' },
    ].map((fields) => ({ ...RECORD, ...fields, rootId: 'root' }))
    expect(findBiggest(records)?.taskId).toBe('big')
    expect(findBiggest(records.slice(0, 2))?.taskId).toBe('top')
    expect(findBiggest([])).toBeUndefined()
  })
})

test('the tree fits the screen however many tasks are live, and folds from below', () => {
  const live = [
    { ...RECORD, taskId: 'root', tool: 'survey', depth: 0, rootId: 'root' },
    ...Array.from({ length: 3 }, (_, n) => folderRecord(`${n}`, 'root', 1)),
    ...Array.from({ length: 500 }, (_, n) => folderRecord(`${n % 3}/${n}`, `${n % 3}`, 2)),
  ]
  const rows = toTaskRows({ live, ended: new Map(), maxRows: 10, now: 0 })
  expect(rows).toHaveLength(10)
  expect(rows.filter(({ depth }) => depth === 1).map(({ label }) => label)).toEqual(['0', '1', '2'])
  expect(rows.find(({ label }) => label === '2')?.detail).toBe('166 below')
})

describe('as a program', () => {
  const built = join(SCRATCH, `survey-${process.pid}`)
  let program = ''
  beforeAll(() => {
    program = buildProgram(built, 'docs/examples/survey/main.ts')
  })
  afterAll(() => {
    rmSync(built, { recursive: true, force: true })
  })

  test('without a terminal it prints plain lines and a summary, and ends with 0', async () => {
    const { exitCode, stdout, stderr } = await runProgram(program, [sample, '--cancel', 'many']).ended
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    expect(stdout).not.toContain('\u001B')
    expect(stdout).toContain(`surveying ${sample}\n`)
    expect(stdout).toMatch(/redirected {2}the result of survey goes to file:survey-report\.md/)
    expect(stdout).toMatch(/cancelled {3}many and all below it \(asked for with --cancel\)/)
    expect(stdout).toMatch(/headline.*completed/)
    expect(stdout).toMatch(/^webhook +received at http:\/\/127\.0\.0\.1:\d+\/survey, its signature verified$/m)
    expect(stdout).toMatch(/^calls +\d+ answered inline, \d+ tickets?$/m)
    const reportPath = /^report +delivered to (.*)$/m.exec(stdout)?.[1] ?? ''
    expect(existsSync(reportPath)).toBe(true)
    rmSync(dirname(reportPath), { recursive: true })
  })

  test('an empty folder is a survey like any other', async () => {
    const folder = join(scratch, 'nothing')
    mkdirSync(folder)
    const { exitCode, stdout } = await runProgram(program, [folder, '--report', reports]).ended
    expect(stdout).toContain('0 files in 0 subfolders, 0 B, 0 lines, 0 words')
    expect(exitCode).toBe(0)
  })

  test.each([
    { args: [join(scratch, 'nowhere')], message: 'there is no folder' },
    { args: [join(sample, 'readme.md')], message: 'is not a folder' },
    { args: ['--colour'], message: "Unknown option '--colour'" },
    { args: [sample, sample], message: 'one FOLDER at a time' },
    { args: ['--inline-ms', 'soon'], message: "--inline-ms must be a number of milliseconds from 0 up, got 'soon'" },
    { args: ['--at-once', '0'], message: "--at-once must be a whole number from 1 up, got '0'" },
    { args: ['--tools', 'count,guess'], message: "not 'guess'" },
    { args: ['--report', join(sample, 'readme.md')], message: 'cannot be a folder' },
  ])('$args ends with 2 and one line: $message', async ({ args, message }) => {
    const { exitCode, stdout, stderr } = await runProgram(program, args).ended
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(message)])
  })

  test('--help says what there is and ends with 0', async () => {
    const { exitCode, stdout } = await runProgram(program, ['--help']).ended
    expect(exitCode).toBe(0)
    expect(stdout).toContain('npm start -- FOLDER [flags]')
  })

  test.runIf(existsSync('/proc/self/environ')).each([
    { signal: 'SIGINT', code: 130 },
    { signal: 'SIGTERM', code: 143 },
  ] as const)('$signal drains, ends with $code and leaves no process', async ({ signal, code }) => {
    const folder = heavy()
    const survey = runProgram(program, [
      folder,
      '--tools',
      'compress',
      '--flaky',
      '0',
      '--grace-ms',
      '50',
      '--report',
      reports,
    ])
    await survey.whenPrinted(/ticket {6}compress/)
    expect(survey.livingProcesses().length).toBeGreaterThan(1)
    survey.signal(signal)
    const { exitCode, stdout, stderr } = await survey.ended
    expect(stderr).toBe('')
    expect(exitCode).toBe(code)
    expect(stdout).toContain('no new work is taken')
    expect(stdout).toMatch(/^report +delivered to/m)
    await expect.poll(() => survey.livingProcesses()).toEqual([])
  })

  test.runIf(existsSync('/proc/self/environ'))(
    'a second Ctrl-C does not wait for the grace, and kills what runs',
    async () => {
      const survey = runProgram(program, [
        heavy(),
        '--tools',
        'compress',
        '--flaky',
        '0',
        '--grace-ms',
        '600000',
        '--report',
        reports,
      ])
      await survey.whenPrinted(/ticket {6}compress/)
      survey.signal('SIGINT')
      await survey.whenPrinted(/no new work is taken/)
      // Within 200 ms it would be taken for the first one, repeated.
      await new Promise((resolve) => setTimeout(resolve, 250))
      survey.signal('SIGINT')
      const { exitCode, stderr } = await survey.ended
      expect(stderr).toBe('')
      expect(exitCode).toBe(130)
      // They were killed, and are gone as soon as the system gets round to it.
      await expect.poll(() => survey.livingProcesses()).toEqual([])
    },
  )
})

const RECORD = {
  tool: 'folder',
  owner: 'survey',
  depth: 0,
  status: 'running',
  caller: 'detached',
  attempt: 1,
  epoch: 1,
  createdAt: 0,
  targets: [],
  persisted: false,
} as const

function folderRecord(taskId: string, parentId: string, depth: number) {
  return { ...RECORD, taskId, parentId, depth, rootId: 'root', description: taskId }
}

/** Gigabytes without a block on the disk: a gzip that nobody stops outlasts every grace, and the supervisor says so. */
function heavy(): string {
  const folder = mkdtempSync(join(scratch, 'heavy '))
  for (let n = 0; n < 2; n += 1) {
    writeFileSync(join(folder, `${n}.bin`), '')
    truncateSync(join(folder, `${n}.bin`), 6_000_000_000)
  }
  return folder
}

/** Files that are nearly the same, more than can be compared in a moment. */
function alike(): string {
  const folder = mkdtempSync(join(scratch, 'alike '))
  for (let n = 0; n < 300; n += 1) writeFileSync(join(folder, `${n}.txt`), `${n} ${manyLines('alike').repeat(4)}`)
  return folder
}

function optionsFor(...flags: string[]): SurveyOptions {
  const commandLine = readCommandLine([sample, '--report', mkdtempSync(join(scratch, 'report ')), ...flags], scratch)
  if (commandLine.kind !== 'survey') throw new Error(JSON.stringify(commandLine))
  return commandLine.options
}

async function finish(run: SurveyRun): Promise<{ readonly run: SurveyRun; readonly ending: Ending }> {
  return { run, ending: await run.whenDone() }
}

function manyLines(word: string): string {
  return Array.from({ length: 60 }, (_, n) => `${word} says ${(n * 7_919) % 1_009}\n`).join('')
}

/** The same totals in another way: whole files, strings and regular expressions. */
function countByHand(isMeant: (path: string) => boolean): Record<string, number> {
  const files = Object.entries(FILES).filter(([path]) => isMeant(path))
  const texts = files.map(([, content]) => content.toString('latin1'))
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  const folders = new Set<string>()
  for (const [path] of files) for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at)
  return {
    files: files.length,
    folders: folders.size,
    bytes: sum(files.map(([, content]) => content.length)),
    lines: sum(texts.map((text) => text.split('\n').length - (text === '' || text.endsWith('\n') ? 1 : 0))),
    words: sum(texts.map((text) => text.split(/[ \t\n\v\f\r]+/).filter((word) => word !== '').length)),
    hits: sum(texts.map((text) => text.split('TODO').length - 1)),
    unreadable: 0,
  }
}
