import { ChannelError, type Channel, type ChannelSend } from 'outlive'
import {
  CHANNEL_CONTRACT,
  REMOTE_CHANNEL_CONTRACT,
  type ArrivedMessage,
  type ReceiverFault,
  type RemoteChannelUnderTest,
} from 'outlive/testing'
import { describe, expect, test } from 'vitest'

// Planted bugs: each of these channels breaks the contract in one way, and some case has to see it.

interface PostOffice {
  readonly under: RemoteChannelUnderTest
  /** What stands at the receiver, for bugs that reach around the channel. */
  put(place: string, message: ArrivedMessage): void
}

/** A sound channel to a receiver in memory. */
function openPostOffice(): PostOffice {
  const boxes = new Map<string, ArrivedMessage[]>()
  const faults = new Map<string, ReceiverFault>()
  const put = (place: string, message: ArrivedMessage): void => {
    boxes.set(place, [...(boxes.get(place) ?? []), message])
  }
  const refuse = (id: string): string | undefined => (/^[ab]$/.test(id) ? undefined : 'there is no such box')
  const channel: Channel = {
    refuse,
    async send({ target, message, signal }) {
      signal.throwIfAborted()
      const refusal = refuse(target.id)
      if (refusal !== undefined) throw new ChannelError('refused', refusal)
      const fault = faults.get(target.id)
      if (fault?.kind === 'busy') {
        const retryAfterMs = (fault.retryAfterSeconds ?? 1) * 1_000
        throw new ChannelError('retry', 'the box is full', { retryAfterMs })
      }
      if (fault?.kind === 'refuses') throw new ChannelError('refused', 'the box wants none of it')
      if (fault?.kind === 'gone') throw new ChannelError('gone', 'the box is gone')
      if (fault?.kind === 'stalls') {
        await new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        })
      }
      put(target.id, { id: message.id, text: message.text })
      if (fault?.kind === 'resets') throw new Error('the line broke')
      return { messageId: `${target.id} ${boxes.get(target.id)?.length ?? 0}` }
    },
  }
  return {
    put,
    under: {
      channel,
      places: ['a', 'b'],
      refused: ['c', ''],
      arrived: (place) => boxes.get(place) ?? [],
      fail(place, fault) {
        if (fault === undefined) faults.delete(place)
        else faults.set(place, fault)
      },
    },
  }
}

type Send = Channel['send']
type Plant = (send: Send, office: PostOffice) => Partial<Channel>

/** The channel with something done to each message. */
const changing =
  (change: (asked: ChannelSend) => ChannelSend): Plant =>
  (send) => ({ send: (asked) => send(change(asked)) })

const changingText = (change: (text: string) => string): Plant =>
  changing((asked) => ({ ...asked, message: { ...asked.message, text: change(asked.message.text) } }))

const changingError =
  (change: (error: unknown, asked: ChannelSend) => unknown): Plant =>
  (send) => ({
    async send(asked) {
      try {
        return await send(asked)
      } catch (error) {
        throw change(error, asked)
      }
    },
  })

const isOfKind = (error: unknown, kind: ChannelError['kind']): error is ChannelError =>
  error instanceof ChannelError && error.kind === kind

let calls = 0
const BUGS: Readonly<Record<string, Plant>> = {
  'sends all to one place': changing((asked) => ({ ...asked, target: { ...asked.target, id: 'b' } })),
  'sends to two places': (send) => ({
    async send(asked) {
      await send({ ...asked, target: { ...asked.target, id: 'b' } })
      return send(asked)
    },
  }),
  'sends twice': (send) => ({
    async send(asked) {
      await send(asked)
      return send(asked)
    },
  }),
  'drops start notices': (send) => ({ send: (asked) => (asked.message.kind === 'start' ? undefined : send(asked)) }),
  'sends the first part late': (send) => ({
    async send(asked) {
      if (asked.message.part > 1 || asked.message.parts === 1) return send(asked)
      setTimeout(() => void send(asked), 5)
      return undefined
    },
  }),
  'makes up an id for each attempt': changing((asked) => ({
    ...asked,
    message: { ...asked.message, id: `attempt ${(calls += 1)}` },
  })),
  'says the attempt in the text': changingText((text) => `${text} (attempt ${(calls += 1)})`),
  'gives all messages one id': changing((asked) => ({ ...asked, message: { ...asked.message, id: 'same' } })),
  'breaks terminal codes and leaves a part of them': changingText((text) => text.replace('\u001b[31m', '')),
  'ends a text at a zero byte': changingText((text) => text.split('\u0000')[0] ?? ''),
  'drops what looks like a mark': changingText((text) => text.replaceAll(/<[^>]*>/g, '').replaceAll('bold', '')),
  'cuts long texts': changingText((text) => text.slice(0, 9_000)),
  'trims texts to one line': changingText((text) => text.split('\n')[0] ?? ''),
  'mixes what is sent at the same time': (_send, { put }) => {
    let line = ''
    return {
      async send({ target, message, signal }) {
        signal.throwIfAborted()
        for (const part of [message.text.slice(0, 3), message.text.slice(3)]) {
          line += part
          await Promise.resolve()
        }
        put(target.id, { id: message.id, text: line })
        line = ''
      },
    }
  },
  'sends for a refused id': (_send, { put }) => ({
    send({ target, message, signal }) {
      signal.throwIfAborted()
      put(target.id === 'c' ? 'a' : target.id, { id: message.id, text: message.text })
    },
  }),
  'has a reason that is empty': () => ({ refuse: (id) => (/^[ab]$/.test(id) ? undefined : '') }),
  'throws on an odd id': () => ({
    refuse(id) {
      decodeURIComponent(id)
      return /^[ab]$/.test(id) ? undefined : 'there is no such box'
    },
  }),
  'refuses its own places': () => ({ refuse: () => 'closed' }),
  'sends what was given up': (send) => ({ send: (asked) => send({ ...asked, signal: new AbortController().signal }) }),
  'calls all messages the same': (send) => ({
    async send(asked) {
      await send(asked)
      return { messageId: 'the message' }
    },
  }),
  'has a limit of nothing': () => ({ limits: { maxChars: 0 } }),
  'writes into what it was handed': changing((asked) => Object.assign(asked, { signal: asked.signal })),
}

const REMOTE_BUGS: Readonly<Record<string, Plant>> = {
  'takes busy for refused': changingError((error) =>
    isOfKind(error, 'retry') ? new ChannelError('refused', error.message) : error,
  ),
  'takes seconds for milliseconds': changingError((error) =>
    isOfKind(error, 'retry')
      ? new ChannelError('retry', error.message, { retryAfterMs: (error.retryAfterMs ?? 0) / 1_000 })
      : error,
  ),
  'tries what is refused again': changingError((error) =>
    isOfKind(error, 'refused') ? new ChannelError('retry', error.message) : error,
  ),
  'takes gone for refused': changingError((error) =>
    isOfKind(error, 'gone') ? new ChannelError('refused', error.message) : error,
  ),
  'does not hear the signal': (send) => ({ send: (asked) => send({ ...asked, signal: new AbortController().signal }) }),
  'quotes what it sent': changingError((error, { message }) =>
    error instanceof ChannelError ? new ChannelError(error.kind, `not sent: ${message.text}`) : error,
  ),
  'throws what is no error': changingError((error, { signal }) => (signal.aborted ? error : 'it did not work')),
  'takes a broken line for a refusal': changingError((error, { signal }) =>
    error instanceof ChannelError || signal.aborted ? error : new ChannelError('refused', 'the line broke'),
  ),
  'gives a repeated message a new id': changing((asked) => ({
    ...asked,
    message: { ...asked.message, id: `attempt ${(calls += 1)}` },
  })),
  'gives up at once': (send) => ({
    send: (asked) => send({ ...asked, signal: AbortSignal.timeout(10) }),
  }),
  'sends one message at a time': (send) => {
    let turn: Promise<unknown> = Promise.resolve()
    return {
      send(asked) {
        const sent = turn.then(() => send(asked))
        // The bug itself: whatever comes next waits long for one that has failed.
        turn = sent.catch(() => new Promise((resolve) => setTimeout(resolve, 20_000).unref()))
        return sent
      },
    }
  },
}

function planted(plant: Plant): RemoteChannelUnderTest {
  const office = openPostOffice()
  const { channel } = office.under
  return { ...office.under, channel: { ...channel, ...plant(channel.send, office) } }
}

async function countFailures(
  cases: readonly { run(create: () => RemoteChannelUnderTest): Promise<void> }[],
  create: () => RemoteChannelUnderTest,
): Promise<number> {
  const outcomes = await Promise.allSettled(cases.map(({ run }) => run(create)))
  return outcomes.filter(({ status }) => status === 'rejected').length
}

describe('the contracts of channels', () => {
  const sound = (): RemoteChannelUnderTest => openPostOffice().under

  test('a sound channel keeps to both', async () => {
    expect(await countFailures(CHANNEL_CONTRACT, sound)).toBe(0)
    expect(await countFailures(REMOTE_CHANNEL_CONTRACT, sound)).toBe(0)
  })

  test.each(Object.entries(BUGS))('the contract of all catches a channel that %s', async (_title, plant) => {
    expect(await countFailures(CHANNEL_CONTRACT, () => planted(plant))).toBeGreaterThan(0)
  })

  test.each(Object.entries(REMOTE_BUGS))('the contract of remote ones catches one that %s', async (_title, plant) => {
    expect(await countFailures(REMOTE_CHANNEL_CONTRACT, () => planted(plant))).toBeGreaterThan(0)
  })
})
