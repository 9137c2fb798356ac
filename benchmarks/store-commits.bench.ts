/**
 * Commits of a store beside the least that writes the same rows: on the same server, in turns, each round with as many new
 * tasks. `order=one`: each commit is awaited before the next. `order=groups`: a hundred at a time, and as many groups on
 * their way as the store sends by itself.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Commit } from 'outlive'
import { collectGarbage, paired } from './measuring.ts'
import { readArguments, report } from './reporting.ts'
import { createCommits } from './store-commits.ts'
import { startPlace, type StoreKind } from './store-place.ts'

const GROUP = 100

const { store: kind = 'redis', order = 'groups', rounds = '5', tasks = '2000' } = readArguments()
const count = Number(tasks)
const isSingle = order === 'one'
const undos: (() => Promise<void>)[] = []

/** Microseconds a commit, of first and of last ones. */
interface Timing {
  readonly first: number
  readonly last: number
}

try {
  const place = await startPlace(kind as StoreKind, (undo) => undos.push(undo))
  const lanes = isSingle ? 1 : place.lanes
  const size = isSingle ? 1 : GROUP
  const store = await place.openStore('own')
  const floor = await place.openFloor('floor')
  undos.push(
    () => floor.close(),
    async () => store.close(),
  )

  const commitGroup = async (group: readonly Commit[]): Promise<void> => {
    for (const reply of await Promise.all(group.map(async (change) => store.commit(change)))) {
      if (reply.kind !== 'committed') throw new Error(`a commit is ${reply.kind}`)
    }
  }
  const ours = createCommits('own')
  const beside = createCommits('floor')

  const timeOurs = async (): Promise<Timing> => {
    const firsts = ours.firsts(count)
    const lasts = ours.lasts(firsts)
    return {
      first: await timeGroups(groupsOf(firsts, size), lanes, commitGroup),
      last: await timeGroups(groupsOf(lasts, size), lanes, commitGroup),
    }
  }
  const timeFloor = async (): Promise<Timing> => {
    const firsts = beside.firsts(count)
    const prepared = [firsts, beside.lasts(firsts)].map((commits) =>
      groupsOf(commits, size).map((group) => floor.prepare(group)),
    )
    const [first = [], last = []] = prepared
    return {
      first: await timeGroups(first, lanes, floor.write),
      last: await timeGroups(last, lanes, floor.write),
    }
  }

  await timeFloor()
  await timeOurs()
  const floors: Timing[] = []
  const owns: Timing[] = []
  for (let round = 0; round < Number(rounds); round += 1) {
    if (round % 2 === 0) floors.push(await timeFloor())
    owns.push(await timeOurs())
    if (round % 2 === 1) floors.push(await timeFloor())
  }

  const wanted = count * (Number(rounds) + 1)
  const rows = await floor.count()
  if (rows.tasks !== wanted || rows.events !== 2 * wanted) throw new Error(`the floor wrote ${JSON.stringify(rows)}`)
  const kept = await store.count(undefined)
  if (kept.completed !== wanted) throw new Error(`the store kept ${JSON.stringify(kept)}`)

  const perSecond = (timings: readonly Timing[]): number[] => timings.map(({ first, last }) => 2e6 / (first + last))
  report({
    ratio: paired(owns, floors, (own, beside) => (own.first + own.last) / (beside.first + beside.last)),
    firstRatio: paired(owns, floors, (own, beside) => own.first / beside.first),
    lastRatio: paired(owns, floors, (own, beside) => own.last / beside.last),
    commitsPerSecond: perSecond(owns),
    floorPerSecond: perSecond(floors),
    ...(kind.startsWith('redis') && !isSingle ? { setsPerSecond: await benchmarkSets(place.port) } : {}),
  })
} finally {
  for (const undo of undos.reverse()) await undo()
}

/** What the server can take at all: plain writes of 300 bytes, a hundred to a message, from 50 connections. */
async function benchmarkSets(port: number): Promise<number> {
  const given = ['-p', String(port), '-t', 'set', '-d', '300', '-P', '100', '-n', '300000', '-r', '100000', '--csv']
  const { stdout } = await promisify(execFile)('redis-benchmark', given)
  const [, perSecond] = /"SET","([\d.]+)"/.exec(stdout) ?? []
  if (perSecond === undefined) throw new Error(`redis-benchmark said: ${stdout}`)
  return Number(perSecond)
}

function groupsOf(commits: readonly Commit[], size: number): (readonly Commit[])[] {
  const groups: (readonly Commit[])[] = []
  for (let from = 0; from < commits.length; from += size) groups.push(commits.slice(from, from + size))
  return groups
}

async function timeGroups<Group>(
  groups: readonly Group[],
  lanes: number,
  write: (group: Group) => Promise<void>,
): Promise<number> {
  collectGarbage()
  const line = groups.values()
  const startedMs = performance.now()
  const lane = async (): Promise<void> => {
    for (const group of line) await write(group)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return ((performance.now() - startedMs) * 1_000) / count
}
