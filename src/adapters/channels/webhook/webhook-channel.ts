import { onAbort } from '../../../abort-listeners.ts'
import { ChannelError } from '../../../channel-error.ts'
import type { Channel, ChannelMessage } from '../../../ports/channel.ts'
import { parseUrl } from './address-guard.ts'
import { postGuarded } from './guarded-request.ts'
import { requireTaken } from './webhook-answer.ts'
import { checkWebhookOptions, type Endpoint, type WebhookChannelOptions } from './webhook-options.ts'

/** An id becomes a header. */
const MESSAGE_ID = /^[\x21-\x7e]{1,256}$/
const TIME_IS_UP = new Error('the time for the attempt is over')

/**
 * A channel that posts each message to a URL, signed as Standard Webhooks say, so that the receiver can tell from whom it
 * is. A target is `webhook:NAME` for one of `endpoints`, or `webhook:https://…` where `anyUrl` is set.
 *
 * 1. The body is one JSON object, `{ type, timestamp, data }`, and has the same bytes each time the same message is sent. The header
 *    `webhook-id` is the message's id, to de-duplicate by; `webhook-timestamp` is the moment of the attempt.
 * 2. 2xx is taken. 410 is `gone`. 408, 425, 429, 5xx, a broken connection and silence are `retry`, with `Retry-After` in
 *    seconds or as a date, up to a day. Everything else is `refused`; redirects are not followed.
 * 3. Only public addresses are reached, on ports 443 and 80, unless `allow` and `allowPorts` say more: what a target says
 *    is checked when it is set; the addresses of its host, and the one that was reached, before each attempt.
 * 4. An attempt is over after `timeoutMs`. Nothing is tried again here: that is up to the supervisor.
 * 5. Secrets, URLs and headers are in no error, and in no view of the channel.
 *
 * Needs the packages `standardwebhooks` and `ipaddr.js`.
 *
 * @throws `TypeError` for a bad option, or when one of the packages is not installed
 * @example
 * ```ts
 * import { createTaskSupervisor } from 'outlive'
 * import { webhookChannel } from 'outlive/channels/webhook'
 *
 * const secret = `whsec_${Buffer.alloc(32, 'k').toString('base64')}` // from your own store of secrets
 * const webhook = webhookChannel({ endpoints: { reports: { url: 'https://example.com/hooks', secret } } })
 * const tasks = createTaskSupervisor({ channels: { webhook }, deliverTo: ['webhook:reports'] })
 * await tasks.shutdown()
 * ```
 */
export function webhookChannel(options: WebhookChannelOptions): Channel {
  const settings = checkWebhookOptions(options)
  const { endpoints, guard, signAnyUrl, timeoutMs } = settings

  /** The place that an id names, or why it names none. */
  const findEndpoint = (id: string): Endpoint | string => {
    const endpoint = endpoints.get(id)
    if (endpoint !== undefined) return endpoint
    if (signAnyUrl === undefined) return 'there is no endpoint of this name'
    const url = parseUrl(id)
    if (url === undefined) return 'it is neither the name of an endpoint nor a URL without spaces and fragment'
    return guard.refuseUrl(url) ?? { url, headers: {}, sign: signAnyUrl }
  }

  return {
    refuse(id) {
      const found = findEndpoint(id)
      return typeof found === 'string' ? found : undefined
    },

    async send({ target, message, signal }) {
      signal.throwIfAborted()
      const endpoint = findEndpoint(target.id)
      if (typeof endpoint === 'string') throw new ChannelError('refused', `the endpoint is refused: ${endpoint}`)
      if (!MESSAGE_ID.test(message.id)) throw new ChannelError('refused', 'the id of the message cannot be a header')
      const body = bodyOf(message)
      const headers = {
        ...endpoint.headers,
        ...endpoint.sign({ id: message.id, body, at: new Date() }),
        'content-type': 'application/json',
        'user-agent': endpoint.headers['user-agent'] ?? 'outlive',
      }
      const attempt = new AbortController()
      const timer = setTimeout(() => attempt.abort(TIME_IS_UP), timeoutMs)
      const stopListening = onAbort(signal, (reason) => attempt.abort(reason))
      try {
        const answer = await postGuarded(settings, { url: endpoint.url, headers, body, signal: attempt.signal })
        requireTaken(answer, Date.now())
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof ChannelError) throw error
        throw new ChannelError('retry', attempt.signal.aborted ? `no answer within ${timeoutMs} ms` : failureOf(error))
      } finally {
        clearTimeout(timer)
        stopListening()
      }
    },
  }
}

/** Nothing in it depends on the attempt: what is sent again has the same bytes. */
function bodyOf({ deliveryId, taskId, kind, part, parts, text, at }: ChannelMessage): string {
  const timestamp = new Date(at).toISOString()
  return JSON.stringify({ type: `delivery.${kind}`, timestamp, data: { deliveryId, taskId, kind, part, parts, text } })
}

/** The code alone: a message of the network may quote what was sent or what came back. */
function failureOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code)
    ? `the request failed (${code})`
    : 'the request failed'
}
