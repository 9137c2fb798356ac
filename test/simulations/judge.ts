/** Judges what has contracts, without a test framework: `judge.js`. Prints the cases that are broken as JSON. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { memoryStore, type ChannelError } from 'outlive'
import { webhookChannel } from 'outlive/channels/webhook'
import { STORE_CONTRACT } from 'outlive/testing'

const SECRET = `whsec_${Buffer.alloc(32, 'k').toString('base64')}`
/** What is to be made of an answer: another try, none for this message, or none for this place. */
const ANSWERS = { 400: 'refused', 404: 'refused', 410: 'gone', 429: 'retry', 503: 'retry' } as const

async function judgeStore(): Promise<string[]> {
  const broken: string[] = []
  for (const { title, run } of STORE_CONTRACT) {
    await run(() => memoryStore()).catch(() => broken.push(`store: ${title}`))
  }
  return broken
}

async function judgeWebhook(): Promise<string[]> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(Number(request.url?.slice(1))).end())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const places = Object.keys(ANSWERS)
  const endpoints = Object.fromEntries(
    places.map((status) => [status, { url: `http://127.0.0.1:${port}/${status}`, secret: SECRET }]),
  )
  const channel = webhookChannel({ endpoints, allow: ['127.0.0.1'], allowHttp: true, allowPorts: [port] })
  const broken: string[] = []
  for (const [status, kind] of Object.entries(ANSWERS)) {
    const message = {
      id: 'm',
      kind: 'end',
      text: 'it',
      part: 1,
      parts: 1,
      deliveryId: 'm',
      taskId: 't',
      at: 0,
    } as const
    const sending = (async () =>
      channel.send({ target: { channel: 'hook', id: status }, message, signal: new AbortController().signal }))()
    const error = await sending.then(
      () => undefined,
      (thrown: unknown) => thrown as ChannelError,
    )
    if (error?.kind !== kind) broken.push(`webhook: what is answered with ${status} is ${kind}`)
  }
  server.close()
  return broken
}

console.log(JSON.stringify([...(await judgeStore()), ...(await judgeWebhook())]))
process.exit(0)
