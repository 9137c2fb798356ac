/** The webhook channel of tests with several processes, the same one in each: `hook:one` and `hook:two` on this machine. */
import type { Channel } from 'outlive'
import { webhookChannel } from 'outlive/channels/webhook'

export const HOOK_SECRET = `whsec_${Buffer.alloc(32, 'k').toString('base64')}`

/** Long results come in several messages. */
export const HOOK_MAX_CHARS = 400

export function createTestHook(port: number): Channel {
  const endpointOf = (name: string) => ({ url: `http://127.0.0.1:${port}/${name}`, secret: HOOK_SECRET })
  const hook = webhookChannel({
    endpoints: { one: endpointOf('one'), two: endpointOf('two') },
    allow: ['127.0.0.1'],
    allowHttp: true,
    allowPorts: [port],
    timeoutMs: 30_000,
  })
  return { ...hook, limits: { maxChars: HOOK_MAX_CHARS } }
}
