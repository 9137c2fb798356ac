/**
 * The people of a soak: `load.js GIVEN`. They call at a steady rate, whether they are answered or not, and are the receiver of
 * the results. What they were told goes to the process that started this one, as facts of a history.
 *
 * The order in which they call is drawn from the seed; what they are told depends on the machine.
 */
import { isFinalStatus, type TaskRecord } from 'outlive'
import { taskTrees, type HistoryFact } from 'outlive/testing'
import { createRandom } from '../../src/testing/simulation/random.ts'
import { createLine, openDoor, Refusal, type Line } from './door.ts'

export interface LoadGiven {
  readonly seed: number
  /** Trees that are begun in a second. */
  readonly rate: number
  readonly leaseMs: number
  readonly owners: readonly string[]
  readonly workers: number
}

export type LoadNote =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'facts'; readonly facts: readonly HistoryFact[] }
  | { readonly kind: 'counts'; readonly calls: number; readonly refusals: Readonly<Record<string, number>> }
  | { readonly kind: 'stopped' }

/** `workers`: where a worker is to be found now. `stop`: no new calls; `stopped` is said when the last one is answered. */
export type LoadOrder =
  | { readonly kind: 'worker'; readonly index: number; readonly port: number }
  | { readonly kind: 'stop' }

const TELL_EVERY_MS = 200
const REFUSED_PART = 0.03
const UNANSWERED_PART = 0.01
/** How often a tree is followed by what. What it does not need is refused, which is an answer as well. */
const STEERED = { wait: 5, cancel: 2, redirect: 2, answer: 4, send: 2, look: 2, peek: 1 } as const

const given = JSON.parse(process.argv[2] ?? '') as LoadGiven
/** Long enough for a process to be found dead and its task to be taken over. */
const LIMIT_MS = given.leaseMs * 5
const WAIT_MS = given.leaseMs * 3
const random = createRandom(given.seed)
const chances = createRandom(given.seed + 1)
const scenario = taskTrees()
const ports: number[] = []
const lines: Line[] = Array.from({ length: given.workers }, (_, index) => createLine(() => ports[index] ?? 0))
const refusals: Record<string, number> = {}
let facts: HistoryFact[] = []
let calls = 0
let underWay = 0

process.on('disconnect', () => process.exit(1))
const say = (note: LoadNote): void => {
  if (process.connected) process.send?.(note)
}
const note = (fact: HistoryFact): void => void facts.push(fact)
const tell = (): void => {
  if (facts.length > 0) say({ kind: 'facts', facts })
  facts = []
  say({ kind: 'counts', calls, refusals })
}

/** Somebody calls. Undefined: it was refused, which is counted. */
async function call(verb: string, what: object): Promise<unknown> {
  calls += 1
  underWay += 1
  try {
    return await random.pick(lines).call(verb, what, LIMIT_MS)
  } catch (error) {
    const code = `${verb}: ${error instanceof Refusal ? error.code : String(error)}`
    refusals[code] = (refusals[code] ?? 0) + 1
    return error instanceof Refusal ? error : undefined
  } finally {
    underWay -= 1
  }
}

const isAnswer = (answer: unknown): boolean => answer !== undefined && !(answer instanceof Refusal)

function noteTold(answer: unknown): boolean {
  if (!isAnswer(answer) || answer === null) return false
  const { taskId, status, persisted } = answer as TaskRecord
  // What could not be kept yet may still become something else.
  if (!persisted || !isFinalStatus(status)) return false
  note({ type: 'told', taskId, status })
  return status === 'completed'
}

async function steer(owner: string, taskId: string, verb: keyof typeof STEERED): Promise<void> {
  const what = { owner, taskId }
  switch (verb) {
    case 'wait': {
      if (!noteTold(await call('wait', { ...what, waitMs: WAIT_MS }))) return
      const value = await call('result', what)
      if (isAnswer(value)) note({ type: 'told', taskId, status: 'completed', value: JSON.stringify(value) })
      return
    }
    case 'look':
      noteTold(await call('look', what))
      return
    case 'redirect':
      await call('redirect', { ...what, target: `mail:elsewhere-${random.below(3)}` })
      return
    case 'peek': {
      const stranger = given.owners.find((name) => name !== owner) ?? ''
      const verbOfStranger = random.pick(['cancel', 'look', 'send', 'redirect'] as const)
      const answer = await call(verbOfStranger, { owner: stranger, taskId, target: 'mail:thief' })
      if (answer instanceof Refusal && answer.code !== 'task_not_found') return
      note({ type: 'peeked', taskId, verb: verbOfStranger, found: isAnswer(answer) && answer !== null })
      return
    }
    case 'cancel':
    case 'answer':
    case 'send':
      await call(verb, what)
  }
}

async function beginTree(): Promise<void> {
  const owner = random.pick(given.owners)
  const { tool, input, options = {} } = scenario.drawCall(random)
  const deliverTo = random.chance(0.6) ? { deliverTo: `mail:box-${random.below(8)}` } : {}
  const steered = Array.from({ length: random.below(4) }, () => ({
    verb: random.weighted(STEERED),
    afterMs: random.below(2_500),
  }))
  const taskId = await call('spawn', { owner, tool, input, options: { ...options, ...deliverTo } })
  if (typeof taskId !== 'string') return
  note({ type: 'acknowledged', taskId, owner })
  underWay += 1
  const acts = steered.map(async ({ verb, afterMs }) => {
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    await steer(owner, taskId, verb)
  })
  await Promise.all(acts)
  underWay -= 1
}

const never = new Promise<never>(() => undefined)
const receiver = {
  /** Now and then it refuses, or takes what it is sent and nobody hears of it. */
  take({ deliveryId, target, body }: { deliveryId: string; target: string; body: string }): unknown {
    const isAccepted = !chances.chance(REFUSED_PART)
    note({ type: 'sent', deliveryId, target, body, isAccepted })
    if (!isAccepted) throw new Error('not now')
    return chances.chance(UNANSWERED_PART) ? never : null
  },
}

const door = await openDoor(receiver, () => 'refused')
setInterval(tell, TELL_EVERY_MS)
let calling: NodeJS.Timeout | undefined
let begun = 0

function begin(): void {
  const startedMs = performance.now()
  calling = setInterval(() => {
    const due = ((performance.now() - startedMs) / 1_000) * given.rate
    for (; begun < due; begun += 1) void beginTree()
  }, 20)
}

process.on('message', (order: LoadOrder) => {
  if (order.kind === 'worker') {
    ports[order.index] = order.port
    lines[order.index]?.close()
    if (calling === undefined && ports.filter((port) => port > 0).length === given.workers) begin()
    return
  }
  clearInterval(calling)
  const waiting = setInterval(() => {
    if (underWay > 0) return
    clearInterval(waiting)
    tell()
    say({ kind: 'stopped' })
  }, 50)
})
process.on('SIGINT', () => undefined)
say({ kind: 'ready', port: door.port })
