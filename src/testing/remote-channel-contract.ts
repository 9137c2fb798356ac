/**
 * What a channel whose receiver is elsewhere has to keep to as well: what it says when the receiver fails. Plain cases
 * without a test framework; each gets a fresh channel.
 *
 * Run them all:
 * `for (const { title, run } of REMOTE_CHANNEL_CONTRACT) test(title, () => run(createChannel))`
 */
import assert from 'node:assert/strict'
import {
  channelCase,
  failureOf,
  kindOf,
  messageOf,
  sendTo,
  type ReceiverFault,
  type RemoteChannelContractCase,
  type RemoteChannelUnderTest,
} from './channel-case.ts'

/** How long a send may take to end when its signal has aborted. */
const ENDS_WITHIN_MS = 2_000
/** No part of it may be told by an error. */
const TEXT = 'a text that says canary-5729'

const remoteCase = channelCase<RemoteChannelUnderTest>

export const REMOTE_CHANNEL_CONTRACT: readonly RemoteChannelContractCase[] = [
  remoteCase('what a busy receiver does not take may be sent again, and arrives then', async (under) => {
    const { channel, places, fail, arrived } = under
    const [place] = places
    await fail(place, { kind: 'busy' })
    const error = await failureOf(sendTo(channel, place, messageOf('m-1', TEXT)))
    assert.equal(kindOf(error), 'retry')
    assertSaysLittle(error)
    assert.deepEqual(await arrived(place), [])
    await fail(place)
    await sendTo(channel, place, messageOf('m-1', TEXT))
    assert.deepEqual(
      (await arrived(place)).map(({ text }) => text),
      [TEXT],
    )
  }),

  remoteCase('when the receiver says how long to wait, the error does', async ({ channel, places, fail }) => {
    const [place] = places
    await fail(place, { kind: 'busy', retryAfterSeconds: 7 })
    const error = await failureOf(sendTo(channel, place, messageOf('m-1', TEXT)))
    assert.equal(kindOf(error), 'retry')
    assert.equal(error instanceof Error && 'retryAfterMs' in error ? error.retryAfterMs : undefined, 7_000)
  }),

  ...(['refuses', 'gone'] as const).map((kind) => {
    const title = kind === 'gone' ? 'a place that is no more is gone' : 'what the receiver does not want is refused'
    return remoteCase(title, async ({ channel, places, fail, arrived }) => {
      const [place] = places
      await fail(place, { kind })
      const error = await failureOf(sendTo(channel, place, messageOf('m-1', TEXT)))
      assert.equal(kindOf(error), kind === 'gone' ? 'gone' : 'refused')
      assertSaysLittle(error)
      assert.deepEqual(await arrived(place), [])
    })
  }),

  remoteCase(
    'a send to a receiver that never answers ends when its signal aborts',
    async ({ channel, places, fail }) => {
      const [place] = places
      await fail(place, { kind: 'stalls' })
      const controller = new AbortController()
      const send = failureOf(sendTo(channel, place, messageOf('m-1', TEXT), controller.signal))
      // It is under way by then, and has to be given up.
      const early = await Promise.race([send.then(() => 'ended'), waited(200).then(() => 'under way')])
      assert.equal(early, 'under way')
      controller.abort(new Error('given up'))
      const late = await Promise.race([send.then(() => 'ended'), waited(ENDS_WITHIN_MS).then(() => 'under way')])
      assert.equal(late, 'ended')
      assert.equal(kindOf(await send), 'retry')
    },
  ),

  remoteCase('a connection that breaks after the message may be tried again, and repeats it', async (under) => {
    const { channel, places, fail, arrived } = under
    const [place] = places
    await fail(place, { kind: 'resets' })
    const error = await failureOf(sendTo(channel, place, messageOf('m-1', TEXT)))
    assert.equal(kindOf(error), 'retry')
    assertSaysLittle(error)
    await fail(place)
    await sendTo(channel, place, messageOf('m-1', TEXT))
    const [first, ...rest] = await arrived(place)
    assert.equal(first?.text, TEXT)
    for (const again of rest) assert.deepEqual(again, first)
  }),

  remoteCase('a place that fails holds up no other place', async ({ channel, places, fail, arrived }) => {
    const [place, other] = places
    if (other === undefined) return
    for (const fault of [{ kind: 'stalls' }, { kind: 'resets' }, { kind: 'busy' }] satisfies ReceiverFault[]) {
      await fail(place, fault)
      const controller = new AbortController()
      const failing = failureOf(sendTo(channel, place, messageOf('m-1', TEXT), controller.signal))
      const sent = sendTo(channel, other, messageOf(`m-${fault.kind}`, fault.kind))
      await Promise.all([failing, sent.finally(() => controller.abort(new Error('given up')))])
    }
    assert.deepEqual(
      (await arrived(other)).map(({ text }) => text),
      ['stalls', 'resets', 'busy'],
    )
  }),
]

/** Errors are logged and kept, so they are short and quote nothing that was sent. */
function assertSaysLittle(error: unknown): void {
  assert.ok(error instanceof Error, 'an error is thrown')
  assert.ok(error.message.length > 0 && error.message.length <= 500, 'the message is short')
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    assert.ok(!JSON.stringify([at.message, Object.entries(at)]).includes('canary'), 'the error quotes what was sent')
  }
}

function waited(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
