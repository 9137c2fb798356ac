/** A channel that does what a test says with each message, and notes what it was asked for. */
import { ChannelError, type Channel, type ChannelMessage, type ChannelReceipt } from 'outlive'

/** What becomes of one message. `hang`: nothing, until its signal aborts. */
export type Answer = 'ok' | 'hang' | Error | ChannelReceipt

export interface ScriptedChannel {
  readonly channel: Channel
  /** What was sent, in order: `id` of the target, the message, and when by the clock of the test. */
  readonly sent: { readonly to: string; readonly message: ChannelMessage; readonly at: number }[]
  /** What did arrive. */
  readonly arrived: { readonly to: string; readonly message: ChannelMessage }[]
  /** The next messages to a place get these answers, one each; then it takes everything. */
  script(to: string, ...answers: Answer[]): void
  /** All messages to a place get this answer from now on. */
  always(to: string, answer: Answer): void
}

export function scriptedChannel(now: () => number = () => 0, parts: Omit<Channel, 'send'> = {}): ScriptedChannel {
  const scripts = new Map<string, Answer[]>()
  const standing = new Map<string, Answer>()
  const sent: ScriptedChannel['sent'] = []
  const arrived: ScriptedChannel['arrived'] = []
  const channel: Channel = {
    ...parts,
    async send({ target, message, signal }) {
      const to = target.id
      sent.push({ to, message, at: now() })
      const answer = scripts.get(to)?.shift() ?? standing.get(to) ?? 'ok'
      if (answer === 'hang') {
        await new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        })
      }
      if (answer instanceof Error) throw answer
      arrived.push({ to, message })
      return typeof answer === 'object' ? answer : undefined
    },
  }
  return {
    channel,
    sent,
    arrived,
    script: (to, ...answers) => void scripts.set(to, answers),
    always: (to, answer) => void standing.set(to, answer),
  }
}

export const later = (retryAfterMs?: number): ChannelError =>
  new ChannelError('retry', 'busy', retryAfterMs === undefined ? {} : { retryAfterMs })
export const refused = (): ChannelError => new ChannelError('refused', 'no such room', { status: 404 })
export const gone = (): ChannelError => new ChannelError('gone', 'unsubscribed', { status: 410 })
