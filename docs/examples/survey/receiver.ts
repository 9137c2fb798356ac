/** The other side of a webhook: a server on this machine that believes what is signed with the secret both know, and nothing else. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook, WebhookVerificationError } from 'standardwebhooks'

export interface Receiver {
  readonly url: string
  readonly port: number
  /** The texts that came, each once however often it was sent. */
  texts(): readonly string[]
  close(): Promise<void>
}

export async function startReceiver(secret: string): Promise<Receiver> {
  const webhook = new Webhook(secret)
  const texts = new Map<string, string>()

  const take = async (request: IncomingMessage): Promise<204 | 401> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    try {
      const body = webhook.verify(Buffer.concat(chunks), request.headers as Record<string, string>)
      texts.set(String(request.headers['webhook-id']), (body as { data: { text: string } }).data.text)
      return 204
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error
      return 401
    }
  }

  const server = createServer((request, response) => {
    take(request).then(
      (status) => response.writeHead(status).end(),
      () => response.destroy(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // The survey decides when the process ends.
  server.unref()
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/survey`,
    port,
    texts: () => [...texts.values()],
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
