/**
 * Tasks kept in Redis, for one process or many.
 *
 * 1. A commit is one script, and so atomic; commits that come close together share a call, each judged by itself.
 * 2. Every call settles, within `commandTimeoutMs` or with its connection. What was not answered may have been carried out;
 *    everything that is written may be written again.
 * 3. No key is scanned for: what is listed, counted or dropped stands in an index.
 * 4. What has ended and owes no delivery expires by itself, should nobody prune.
 *
 * What is acknowledged is as safe as Redis keeps it: `durability` says how much that is.
 */
import { mustEvictOldest } from '../../../machines/policies/retention.ts'
import { groupWrites } from '../../commit-groups.ts'
import { isTaskError } from '../../errors.ts'
import type { Commit, CommitReply, PruneReply, TaskStore } from '../../ports/task-store.ts'
import type { ClusterStore } from '../../ports/cluster-store.ts'
import { nodePart, toCommitReply, toCommitsArgument } from './commit-arguments.ts'
import { createConnection, type RedisCall } from './connection.ts'
import { createHints } from './hints.ts'
import { claimField, fromKeyPart, toKeyPart } from './keys.ts'
import { createLog } from './log.ts'
import type { Promised } from './promised.ts'
import { createReads } from './reads.ts'
import { createRecordReader } from './records.ts'
import { createClientFactory } from './redis-client.ts'
import { createRedisCluster } from './redis-cluster.ts'
import { unavailable } from './redis-errors.ts'
import { checkRedisOptions, type RedisStoreOptions } from './redis-options.ts'
import { COMMIT_SCRIPT } from './scripts/commit-script.ts'
import { PUT_DELIVERY_SCRIPT } from './scripts/delivery-scripts.ts'
import { EVICT_SCRIPT, OLDEST_SCRIPT } from './scripts/retention-scripts.ts'
import { runScript } from './scripts/script.ts'

/** How many calls with commits are on their way at a time: the next ones are packed while the server works. */
const GROUPS_ON_THE_WAY = 3
/** How many tasks one call drops: it holds up the server. The first of several drops one, for mostly no more has to go. */
const EVICTED_PER_CALL = 100
/** How often a group is written again under the name of a new log. */
const MAX_RESETS = 3
/** How long a start that failed for good is not tried again. */
const REFUSED_MS = 5_000

export interface RedisStore extends Promised<Omit<TaskStore, 'cluster' | 'open'>> {
  readonly cluster: Promised<ClusterStore>
  open(): Promise<readonly string[]>
  /** Tasks that were left out of answers because what is kept of them is damaged, each counted once. */
  damagedTasks(): number
}

/**
 * A store in Redis 6.2 or newer. It connects when it is first used; `open` connects at once and says what is wrong with the
 * settings of the server.
 *
 * @throws {TypeError} for a bad option, at once.
 * @throws {TaskError} from its methods: `store_unavailable` while Redis does not do what it is asked (try again),
 * `store_full` when it is out of memory, `store_unusable` when it does not let us in, is too old, or ioredis is missing.
 *
 * @example
 * ```ts no-run
 * import { createTaskSupervisor } from 'outlive'
 * import { redisStore } from 'outlive/redis'
 *
 * const tasks = createTaskSupervisor({ store: redisStore('redis://127.0.0.1:6379') })
 * ```
 */
export function redisStore(options: string | RedisStoreOptions = {}): RedisStore {
  const { url, redis, keys, ttlMs, commandTimeoutMs, maxCommitsPerCall, logger } = checkRedisOptions(options)
  const createClient = createClientFactory({ url, redis, connectTimeoutMs: commandTimeoutMs })
  const log = createLog(keys)
  const records = createRecordReader(logger)
  const connection = createConnection({
    createClient,
    commandTimeoutMs,
    greet: (call) => (log.facts() === undefined ? call('PING', []) : log.refresh(call)),
    heartbeat: (call) => (log.facts() === undefined ? call('PING', []) : log.refresh(call)),
  })
  const hints = createHints({ channel: keys.hints, createClient, commandTimeoutMs })
  let opening: Promise<readonly string[]> | undefined
  let closing: Promise<void> | undefined

  const openOnce = async (): Promise<readonly string[]> => {
    try {
      await connection.whenReady()
      return (await log.open(connection.call)).warnings
    } catch (error) {
      const forget = (): void => void (opening = undefined)
      // Whoever asks a server over and over that refuses us gets the same answer for a while.
      if (isTaskError(error) && !error.retryable) setTimeout(forget, REFUSED_MS).unref()
      else forget()
      throw error
    }
  }

  const open = (): Promise<readonly string[]> => {
    if (closing !== undefined) return Promise.reject(unavailable('The store is closed.'))
    opening ??= openOnce()
    return opening
  }

  const call: RedisCall = async (command, args) => {
    if (log.facts() === undefined || closing !== undefined) await open()
    return connection.call(command, args)
  }

  const writeGroup = async (group: readonly Commit[], resets = 0): Promise<readonly (CommitReply | Error)[]> => {
    if (log.facts() === undefined || closing !== undefined) await open()
    const owners = [...new Set(group.map(({ record }) => record.owner))]
    const hint = JSON.stringify({ owners })
    const args = [log.incarnation(), ttlMs, keys.hints, hint, group.length, toCommitsArgument(group)]
    const replies = (await runScript(connection.call, keys, COMMIT_SCRIPT, args)) as readonly unknown[]
    if (replies[0] === 'reset') {
      if (resets === MAX_RESETS) throw unavailable('The log in Redis is being replaced over and over.')
      await log.refresh(connection.call)
      return writeGroup(group, resets + 1)
    }
    return group.map((change, index) => toCommitReply(replies[index], change))
  }

  const commit = groupWrites<Commit, CommitReply>((group) => writeGroup(group), {
    maxCommits: maxCommitsPerCall,
    maxOnTheWay: GROUPS_ON_THE_WAY,
  })

  const prune = async (limits: Parameters<TaskStore['prune']>[0]): Promise<PruneReply> => {
    const { now, maxEvicted, ...policy } = limits
    let evicted = 0
    for (let perCall = 1; ; perCall = EVICTED_PER_CALL) {
      // One more than may go tells when to come back.
      const wanted = Math.min(maxEvicted - evicted, perCall)
      const found = (await runScript(call, keys, OLDEST_SCRIPT, [wanted + 1])) as readonly (string | number)[]
      let [count, bytes] = [Number(found[0]), Number(found[1])]
      const going: string[] = []
      let oldestEndedAt: number | undefined
      let mustGo = false
      for (let index = 2; index < found.length; index += 3) {
        oldestEndedAt = Number(found[index + 1])
        mustGo = mustEvictOldest(policy, { count, bytes, oldestEndedAt, now })
        if (!mustGo || going.length === wanted) break
        going.push(String(found[index]))
        count -= 1
        bytes -= bytesOf(String(found[index + 2]))
        oldestEndedAt = undefined
        mustGo = false
      }
      if (going.length > 0) evicted += Number(await runScript(call, keys, EVICT_SCRIPT, going))
      if (oldestEndedAt === undefined) return { evicted }
      if (!mustGo) return { evicted, nextAt: oldestEndedAt + policy.finishedMs }
      if (evicted >= maxEvicted || wanted === 0) return { evicted, nextAt: now }
    }
  }

  return {
    get durability() {
      return log.facts()?.durability ?? 'process'
    },
    get incarnation() {
      return log.incarnation()
    },
    damagedTasks: () => records.damagedCount(),
    cluster: createRedisCluster({ keys, call, hints }),
    open,
    commit,
    ...createReads({ keys, call, records }),
    async claimedBy(claim) {
      const holder = await call('HGET', [`${keys.base}claims`, claimField(claim)])
      if (typeof holder !== 'string') return undefined
      return (await call('EXISTS', [`${keys.base}task:${holder}`])) === 1 ? fromKeyPart(holder) : undefined
    },
    async readAttachment(taskId, kind) {
      const json = await call('HGET', [`${keys.base}task:${toKeyPart(taskId)}`, `attached:${kind}`])
      return typeof json === 'string' ? json : undefined
    },
    async putDelivery(entry) {
      const { taskId, deliveryId, owner, version, node, state, log: lines } = entry
      const args = [ttlMs, keys.hints, JSON.stringify({ owners: [owner] }), toKeyPart(taskId), toKeyPart(deliveryId)]
      args.push(version, nodePart(node), state, lines.length, JSON.stringify(entry))
      const reply = (await runScript(call, keys, PUT_DELIVERY_SCRIPT, args)) as readonly [string, string, string]
      if (reply[0] === 'stale') return { kind: 'stale' }
      return { kind: 'put', ownerPosition: Number(reply[1]), position: Number(reply[2]) }
    },
    prune,
    close() {
      closing ??= Promise.all([connection.close(), hints.close()]).then(() => undefined)
      return closing
    },
  }
}

/** The bytes of a tombstone, which may be missing. */
function bytesOf(tombstone: string): number {
  return tombstone === '' ? 0 : Number((JSON.parse(tombstone) as readonly unknown[])[2])
}
