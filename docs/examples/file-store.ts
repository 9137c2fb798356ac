/**
 * A store of your own: every change is a line of JSON in a file, and what the lines say is kept in memory.
 *
 * A line is what was asked for, not what came of it: asked again in the same order, the same comes of it. So a change is
 * written before it is made, and opening the file makes all changes again. One process at a time may have the file, and
 * it only grows; a store for more than that is `outlive/sqlite`.
 *
 * `test/file-store.test.ts` runs the contract of `outlive/testing` against it, as yours should.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { groupCommits, memoryStore, type Commit, type CommitReply, type TaskStore } from 'outlive'

/** What changes a store: everything else only reads. */
type Change =
  | { readonly commit: Commit }
  | { readonly putDelivery: Parameters<TaskStore['putDelivery']>[0] }
  | { readonly prune: Parameters<TaskStore['prune']>[0] }

export function fileStore(path: string): TaskStore {
  const kept = memoryStore()
  /** The last commit of each task, which may be sent again. */
  const last = new Map<string, { readonly id: string; readonly reply: CommitReply }>()
  let incarnation = ''
  let file: FileHandle | undefined
  /** How much of the file holds whole lines. */
  let size = 0
  let isOpening: Promise<readonly string[]> | undefined

  const apply = async (change: Change): Promise<unknown> => {
    if ('putDelivery' in change) return kept.putDelivery(change.putDelivery)
    if ('prune' in change) return kept.prune(change.prune)
    const { id, record } = change.commit
    const known = last.get(record.taskId)
    if (known?.id === id) return known.reply
    const reply = await kept.commit(change.commit)
    if (reply.kind === 'committed') last.set(record.taskId, { id, reply })
    return reply
  }

  const append = async (values: readonly unknown[]): Promise<void> => {
    if (file === undefined) throw new Error('the store is closed')
    const lines = Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
    try {
      // Half a line may stand there, of a write that failed.
      await file.truncate(size)
      await file.write(lines, 0, lines.length, size)
      await file.datasync()
    } catch (error) {
      throw new Error('the file could not be written', { cause: error })
    }
    size += lines.length
  }

  const read = async (): Promise<readonly string[]> => {
    await open(path, 'a').then((made) => made.close())
    const found = await open(path, 'r+')
    file = found
    const text = await found.readFile('utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    size = Buffer.byteLength(whole)
    const [head, ...changes] = whole.split('\n').slice(0, -1)
    if (head === undefined) {
      incarnation = crypto.randomUUID()
      await append([{ incarnation }])
    } else incarnation = (JSON.parse(head) as { readonly incarnation: string }).incarnation
    for (const line of changes) await apply(JSON.parse(line) as Change)
    return whole === text
      ? []
      : ['The last line of the file was not whole; nothing was told about it, so it is left out.']
  }

  const opened = (): Promise<readonly string[]> => (isOpening ??= read())

  /** One change after the other: the order in the file is the order in memory. */
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    const answer = turn.then(opened).then(work)
    turn = answer.catch(() => undefined)
    return answer
  }

  const change = <Answer>(asked: Change): Promise<Answer> =>
    inTurn(async () => {
      await append([asked])
      return (await apply(asked)) as Answer
    })

  const writeAll = (commits: readonly Commit[]): Promise<readonly CommitReply[]> =>
    inTurn(async () => {
      await append(commits.map((commit) => ({ commit })))
      const replies: CommitReply[] = []
      for (const commit of commits) replies.push((await apply({ commit })) as CommitReply)
      return replies
    })

  return {
    durability: 'power',
    get incarnation() {
      return incarnation
    },
    open: opened,
    commit: groupCommits(writeAll),
    putDelivery: (entry) => change({ putDelivery: entry }),
    prune: (limits) => change({ prune: limits }),
    read: async (taskId) => opened().then(() => kept.read(taskId)),
    list: async (query) => opened().then(() => kept.list(query)),
    count: async (owner) => opened().then(() => kept.count(owner)),
    readEvents: async (query) => opened().then(() => kept.readEvents(query)),
    readFeed: async (query) => opened().then(() => kept.readFeed(query)),
    lastPosition: async (owner) => opened().then(() => kept.lastPosition(owner)),
    claimedBy: async (claim) => opened().then(() => kept.claimedBy(claim)),
    readAttachment: async (taskId, kind) => opened().then(() => kept.readAttachment(taskId, kind)),
    readOutbox: async (taskId) => opened().then(() => kept.readOutbox(taskId)),
    listDeliveries: async (query) => opened().then(() => kept.listDeliveries(query)),
    close: () =>
      inTurn(async () => {
        await file?.close()
        file = undefined
      }),
  }
}
