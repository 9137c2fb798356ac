/** Everything that is read, a page at a time. */
import { isFinalStatus, TASK_STATUSES } from '../../../machines/vocabulary.ts'
import type { OutboxEntry } from '../../ports/delivery.ts'
import type { StoredEvent } from '../../ports/task-event.ts'
import type { StoredRecord } from '../../ports/task-record.ts'
import type { FeedEntry, FeedPage, ListPage, ListQuery, TaskStore } from '../../ports/task-store.ts'
import type { RedisCall } from './connection.ts'
import { toKeyPart, type KeySpace } from './keys.ts'
import type { Promised } from './promised.ts'
import type { RecordReader } from './records.ts'
import { isWrongType } from './redis-errors.ts'
import { LIST_DELIVERIES_SCRIPT } from './scripts/delivery-scripts.ts'
import { FEED_SCRIPT, LIST_SCRIPT } from './scripts/read-scripts.ts'
import { runScript } from './scripts/script.ts'

/** How many tasks one call looks at, and how many bytes it gives at most, but for the last record: a call holds up the server. */
const LOOKS = 500
const PAGE_BYTES = 4_194_304

type Reads = Promised<
  Pick<
    TaskStore,
    'read' | 'list' | 'count' | 'readEvents' | 'readFeed' | 'lastPosition' | 'readOutbox' | 'listDeliveries'
  >
>

export function createReads(parts: {
  readonly keys: KeySpace
  readonly call: RedisCall
  readonly records: RecordReader
}): Reads {
  const { keys, call, records } = parts
  const { base } = keys

  /** What a key of another type holds is not ours. */
  const unlessDamaged = async (taskPart: string, reading: Promise<unknown>): Promise<unknown> => {
    try {
      return await reading
    } catch (error) {
      if (!isWrongType(error)) throw error
      return records.damaged(taskPart)
    }
  }

  const readRecord = async (taskPart: string): Promise<StoredRecord | undefined> => {
    const json = await unlessDamaged(taskPart, call('HGET', [`${base}task:${taskPart}`, 'json']))
    return typeof json === 'string' ? records.toRecord(taskPart, json) : undefined
  }

  return {
    read: (taskId) => readRecord(toKeyPart(taskId)),
    list: (query) => listRecords(parts, query),
    async count(owner) {
      const key = owner === undefined ? `${base}counts` : `${base}countsOf:${toKeyPart(owner)}`
      const found = (await call('HMGET', [key, ...TASK_STATUSES])) as readonly (string | null)[]
      return Object.fromEntries(
        TASK_STATUSES.flatMap((status, index) =>
          Number(found[index] ?? 0) === 0 ? [] : [[status, Number(found[index])]],
        ),
      )
    },
    async readEvents({ taskId, afterSeq, limit }) {
      const part = toKeyPart(taskId)
      const range = [`${base}events:${part}`, `${afterSeq + 1}-0`, '+', 'COUNT', limit]
      const [found, record] = await Promise.all([unlessDamaged(part, call('XRANGE', range)), readRecord(part)])
      if (!Array.isArray(found) || record === undefined) return []
      return (found as [string, string[]][]).flatMap(([id, fields]): FeedEntry<StoredEvent>[] => {
        const event = records.toEvent(part, parseInt(id, 10), fields[1] ?? '')
        if (event === undefined) return []
        // The places are those of the first event of its commit.
        const offset = event.seq - Number(fields[7])
        return [{ event, record, ownerPosition: Number(fields[3]) + offset, position: Number(fields[5]) + offset }]
      })
    },
    async readFeed({ owner, after, limit }) {
      const args = [owner === undefined ? '' : toKeyPart(owner), after, limit, PAGE_BYTES]
      return toFeedPage(records, await runScript(call, keys, FEED_SCRIPT, args))
    },
    async lastPosition(owner) {
      const [key, field] = owner === undefined ? ['counters', 'position'] : ['last', toKeyPart(owner)]
      return Number((await call('HGET', [`${base}${key}`, field])) ?? 0)
    },
    async readOutbox(taskId) {
      const found = (await call('HVALS', [`${base}outbox:${toKeyPart(taskId)}`])) as readonly string[]
      return found
        .map((value) => ({ place: parseInt(value, 10), json: value.slice(value.indexOf('\n') + 1) }))
        .sort((a, b) => a.place - b.place)
        .map(({ json }) => JSON.parse(json) as OutboxEntry)
    },
    async listDeliveries({ state, owner, after, limit }) {
      const index = owner === undefined ? `open:${state}` : `openOf:${state}:${toKeyPart(owner)}`
      const args = [index, after === undefined ? '' : toKeyPart(after), limit]
      const found = (await runScript(call, keys, LIST_DELIVERIES_SCRIPT, args)) as readonly string[]
      return found.map((json) => JSON.parse(json) as OutboxEntry)
    },
  }
}

function toFeedPage(records: RecordReader, reply: unknown): FeedPage {
  type Texts = readonly string[]
  const [upTo, isLast, tasks, events, deliveries] = reply as readonly [string, number, Texts, Texts, Texts]
  const known: { readonly part: string; readonly record: StoredRecord | undefined }[] = []
  for (let index = 0; index < tasks.length; index += 2) {
    const part = tasks[index] ?? ''
    known.push({ part, record: records.toRecord(part, tasks[index + 1] ?? '') })
  }
  const entries: FeedEntry[] = []
  for (let index = 0; index < events.length; index += 5) {
    const [task, seq, json = '', ownerPosition, position] = events.slice(index, index + 5)
    const { part = '', record } = known[Number(task) - 1] ?? {}
    if (record === undefined) continue
    const event = json.startsWith('#')
      ? records.toDeliveryEvent(part, Number(seq), deliveries[Number(json.slice(1)) - 1] ?? '')
      : records.toEvent(part, Number(seq), json)
    if (event === undefined) continue
    entries.push({ event, record, ownerPosition: Number(ownerPosition), position: Number(position) })
  }
  return { entries, upTo: Number(upTo), isLast: isLast === 1 }
}

/** The smallest index that holds everything a query asks for. */
function indexFor({ owner, status, parentId, rootId, runId, conversation, node }: ListQuery): string {
  if (parentId !== undefined) return `childrenOf:${toKeyPart(parentId)}`
  if (rootId !== undefined) return `treeOf:${toKeyPart(rootId)}`
  if (runId !== undefined) return `runOf:${toKeyPart(runId)}`
  if (conversation !== undefined) return `conversationOf:${toKeyPart(conversation)}`
  const isLive = status !== undefined && !status.some(isFinalStatus)
  if (isLive && node !== undefined) return `nodeOf:${toKeyPart(node)}`
  if (owner === undefined) return 'tasks'
  return `${isLive ? 'liveOf' : 'tasksOf'}:${toKeyPart(owner)}`
}

async function listRecords(
  { keys, call, records }: Parameters<typeof createReads>[0],
  query: ListQuery,
): Promise<ListPage> {
  const filters: [string, string | undefined][] = [
    ['owner', query.owner],
    ['parent', query.parentId],
    ['root', query.rootId],
    ['tool', query.tool],
    ['name', query.name],
    ['conversation', query.conversation],
    ['node', query.node],
    ['run', query.runId],
  ]
  const status = query.status ?? []
  const fixed = [
    query.rootId === undefined ? '' : toKeyPart(query.rootId),
    status.length,
    ...status,
    ...filters.flatMap(([field, value]) => (value === undefined ? [] : [field, toKeyPart(value)])),
  ]
  const found: StoredRecord[] = []
  if (query.status?.length === 0) return { records: found }
  let lastPlace = query.after ?? 0
  for (let after: string | undefined = String(lastPlace); after !== undefined && after !== '';) {
    // One more than is asked for tells whether there is another page.
    const limit = Math.min(query.limit - found.length + 1, LOOKS)
    const args = [indexFor(query), after, limit, LOOKS, PAGE_BYTES, ...fixed]
    const [next, ...matches] = (await runScript(call, keys, LIST_SCRIPT, args)) as readonly string[]
    for (let index = 0; index < matches.length; index += 3) {
      const [part = '', place, json = ''] = matches.slice(index, index + 3)
      if (found.length === query.limit) return { records: found, next: lastPlace }
      const record = records.toRecord(part, json)
      if (record === undefined) continue
      found.push(record)
      lastPlace = Number(place)
    }
    after = next
  }
  return { records: found }
}
