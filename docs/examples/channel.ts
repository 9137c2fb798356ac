/**
 * A channel of one's own: it posts to boards that speak HTTP, one for each name. It keeps to the contracts of
 * `outlive/testing`, so results get there in order, and a board that is down, full or gone is treated as such.
 */
import { ChannelError, type Channel } from 'outlive'

const NAME = /^[a-z][a-z0-9-]{0,40}$/
const refuse = (id: string): string | undefined => (NAME.test(id) ? undefined : 'a board is named in small letters')

export function boardChannel(url: string): Channel {
  return {
    limits: { maxChars: 4_000, unit: 'bytes' },
    refuse,
    async send({ target, message, signal }) {
      const refusal = refuse(target.id)
      if (refusal !== undefined) throw new ChannelError('refused', refusal)
      const { ok, status, headers, body } = await fetch(`${url}/${target.id}`, {
        method: 'POST',
        // The same for each attempt: a board that has the message already knows it by this.
        headers: { 'idempotency-key': message.id },
        body: message.text,
        redirect: 'manual',
        signal,
      })
      await body?.cancel()
      if (ok) return { messageId: headers.get('location') ?? message.id }
      const said = `the board answered ${status}`
      if (status === 410) throw new ChannelError('gone', said, { status })
      if (status < 500 && status !== 429) throw new ChannelError('refused', said, { status })
      throw new ChannelError('retry', said, { status, retryAfterMs: 1_000 * (Number(headers.get('retry-after')) || 1) })
    },
  }
}
