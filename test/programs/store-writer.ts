/**
 * Writes tasks into a store that others write to as well: `store-writer.js KIND LOCATION NAME COUNT`. Each task is made and
 * ended; a line `NAME-NUMBER VERSION` tells each answer. It opens the store after the first byte of its input, prints
 * `open INCARNATION`, and begins after the second.
 */
import { once } from 'node:events'
import { postgresStore } from 'outlive/postgres'
import { sqliteStore } from 'outlive/sqlite'
import { BASE_AT, commitOf, recordOf } from '../../src/testing/contract-case.ts'

const LANES = 5
const [kind = '', location = '', name = '', count = '0'] = process.argv.slice(2)
const print = (line: string): void => void process.stdout.write(`${line}\n`)

const [url = '', schema = ''] = location.split('#')
const store = kind === 'sqlite' ? sqliteStore(location) : postgresStore({ url, schema })

// The parent is gone when the input ends, and nobody needs this any more.
process.stdin.on('end', () => process.exit(1))
print('ready')
await once(process.stdin, 'data')
await store.open()
print(`open ${store.incarnation}`)
await once(process.stdin, 'data')

let next = 0
const lane = async (): Promise<void> => {
  for (let number = (next += 1); number <= Number(count); number = next += 1) {
    const taskId = `${name}-${number}`
    const owner = `owner ${number % 3}`
    const claims = [{ owner, kind: 'name', key: `name-${number % 7}` }] as const
    const first = await store.commit(commitOf(recordOf(taskId, { owner }), { claims: number % 2 === 0 ? claims : [] }))
    if (first.kind === 'claimed') continue
    print(`${taskId} 1`)
    const end = recordOf(taskId, { owner, version: 2, lastSeq: 3, status: 'completed', endedAt: BASE_AT + number })
    await store.commit(commitOf(end, { types: ['task.output', 'task.completed'] }))
    print(`${taskId} 2`)
  }
}
await Promise.all(Array.from({ length: LANES }, lane))
await store.close()
print('done')
process.exit(0)
