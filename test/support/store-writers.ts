/** Processes that write to one store, and what has to be true of it whatever became of them. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { FeedEntry, TaskStore } from 'outlive'
import { expect, onTestFinished } from 'vitest'
import { buildProgram } from './child-program.ts'
import { SCRATCH } from './repository.ts'

export interface StoreWriter {
  /** Resolves when a line begins so. */
  whenSaid(beginning: string): Promise<void>
  open(): void
  write(): void
  kill(): void
  /** What it printed for each answer: a task and its version. */
  answers(): readonly { readonly taskId: string; readonly version: number }[]
  incarnation(): string | undefined
  /** With the exit code, `null` when it was killed. */
  readonly ended: Promise<number | null>
}

export function buildStoreWriter(name: string): string {
  return buildProgram(join(SCRATCH, `store-writer-${name}`), 'test/programs/store-writer.ts')
}

export function startStoreWriter(
  program: string,
  given: {
    readonly kind: 'sqlite' | 'postgres'
    readonly location: string
    readonly name: string
    readonly count: number
  },
): StoreWriter {
  const child = spawn(process.execPath, [program, given.kind, given.location, given.name, String(given.count)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  let complained = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text))
  // A process that was killed reads no more.
  child.stdin.on('error', () => undefined)
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  // A line is whole when the next one has begun.
  const lines = (): readonly string[] => said.split('\n').slice(0, -1)
  return {
    whenSaid: (beginning) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (lines().some((line) => line.startsWith(beginning))) resolve()
        }
        child.stdout.on('data', look)
        child.on('close', () => reject(new Error(`it never said ${beginning}:\n${said}${complained}`)))
        look()
      }),
    open: () => void child.stdin.write('o'),
    write: () => void child.stdin.write('w'),
    kill: () => void child.kill('SIGKILL'),
    answers: () =>
      lines().flatMap((line) => {
        const [, taskId, version] = /^(\S+-\d+) (\d)$/.exec(line) ?? []
        return taskId === undefined ? [] : [{ taskId, version: Number(version) }]
      }),
    incarnation: () =>
      lines()
        .find((line) => line.startsWith('open '))
        ?.slice('open '.length),
    ended,
  }
}

/** Everything in a feed, page by page. */
export async function readWholeFeed(store: TaskStore, owner?: string): Promise<readonly FeedEntry[]> {
  const entries: FeedEntry[] = []
  for (let after = 0; ;) {
    const page = await store.readFeed({ ...(owner === undefined ? {} : { owner }), after, limit: 100 })
    entries.push(...page.entries)
    after = page.upTo
    if (page.isLast) return entries
  }
}

/** The laws of a store in which nothing was trimmed or dropped. Gives how many events there are. */
export async function expectWhole(store: TaskStore, owners: readonly string[]): Promise<number> {
  const all = await readWholeFeed(store)
  expect(all.map(({ position }) => position)).toEqual(all.map((_, index) => index + 1))
  expect(await store.lastPosition(undefined)).toBe(all.length)
  for (const owner of owners) {
    const feed = await readWholeFeed(store, owner)
    expect(feed.map(({ ownerPosition }) => ownerPosition)).toEqual(feed.map((_, index) => index + 1))
    expect(feed.map(({ position }) => position)).toEqual(
      all.flatMap(({ record, position }) => (record.owner === owner ? [position] : [])),
    )
  }
  const seqs = new Map<string, number[]>()
  const records = new Map(all.map(({ record }) => [record.taskId, record]))
  for (const { event, record } of all) seqs.set(record.taskId, [...(seqs.get(record.taskId) ?? []), event.seq])
  for (const [taskId, of] of seqs) {
    expect(of).toEqual(of.map((_, index) => index + 1))
    expect(records.get(taskId)?.lastSeq).toBe(of.length)
  }
  const counts: Record<string, number> = {}
  for (const { status } of records.values()) counts[status] = (counts[status] ?? 0) + 1
  expect(withoutZeros(await store.count(undefined))).toEqual(counts)
  return all.length
}

/** What was answered is there, in that version or a newer one. */
export async function expectAnswersKept(store: TaskStore, writers: readonly StoreWriter[]): Promise<void> {
  const answers = writers.flatMap((writer) => writer.answers())
  const versions = new Map(answers.map(({ taskId, version }) => [taskId, version]))
  expect(versions.size).toBeGreaterThan(0)
  const lost: string[] = []
  for (const [taskId, version] of versions) {
    if (((await store.read(taskId))?.version ?? 0) < version) lost.push(taskId)
  }
  expect(lost).toEqual([])
}

function withoutZeros(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0))
}
