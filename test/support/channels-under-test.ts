/** The channels of the library, each with a receiver at its other end, as the contracts want them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { callbackChannel, consoleChannel, fileChannel, type ChannelSend } from 'outlive'
import { webhookChannel } from 'outlive/channels/webhook'
import type { ArrivedMessage, ChannelUnderTest, ReceiverFault, RemoteChannelUnderTest } from 'outlive/testing'
import { startHttpReceiver, type Received, type Script } from './http-receiver.ts'
import { scratchFolder } from './scratch-folder.ts'

export const SECRET = `whsec_${Buffer.alloc(32, 'k').toString('base64')}`

export function callbackUnderTest(): ChannelUnderTest {
  const sends: ChannelSend[] = []
  return {
    channel: callbackChannel((send) => {
      sends.push(send)
      return { messageId: `message ${sends.length}` }
    }),
    places: ['', 'elsewhere'],
    refused: [],
    arrived: (place) =>
      sends
        .filter(({ target }) => target.id === place)
        .map(({ message: { id, ...message } }) => ({ id, text: message.text, body: JSON.stringify(message) })),
  }
}

/** A file has no marks between messages; so it is read by what was sent, which shows where one is torn or mixed. */
export function fileUnderTest(): ChannelUnderTest {
  const folder = scratchFolder('file-channel')
  const { send, ...channel } = fileChannel({ folder })
  const sent = new Set<string>()
  return {
    channel: {
      ...channel,
      send(asked) {
        sent.add(asked.message.text)
        return send(asked)
      },
    },
    places: ['report.md', 'notes.txt'],
    refused: ['', '..', '../report.md', '/etc/passwd', '.hidden', 'a/b', 'a\nb', 'a\u0000b'],
    arrived(place) {
      const file = join(folder, place)
      let rest = existsSync(file) ? readFileSync(file, 'utf8') : ''
      const messages: ArrivedMessage[] = []
      while (rest !== '') {
        const text = [...sent].find((known) => rest.startsWith(`${Buffer.from(known).toString()}\n`))
        if (text === undefined) throw new Error(`no message begins with ${JSON.stringify(rest.slice(0, 80))}`)
        const written = Buffer.from(text).toString()
        messages.push({ text: written })
        rest = rest.slice(written.length + 1)
      }
      return messages
    },
  }
}

export function consoleUnderTest(): ChannelUnderTest {
  let printed = ''
  const stream = new Writable({
    decodeStrings: true,
    write(chunk: Buffer, _encoding, done) {
      printed += chunk.toString()
      setImmediate(done)
    },
  })
  return {
    channel: consoleChannel({ stream }),
    places: [''],
    refused: ['elsewhere', ' ', '../x'],
    arrived: () => messagesOnPage(printed),
  }
}

/** A page of the console: titles, and below each its lines with a margin. */
export function messagesOnPage(page: string): ArrivedMessage[] {
  const [before, ...messages] = page.split(/^── .* ──\n/m)
  if (before !== '') throw new Error(`what begins the page is no title: ${JSON.stringify(page.slice(0, 80))}`)
  return messages.map((message) => {
    const lines = message.replace(/\n$/, '').split('\n')
    if (lines.some((line) => line !== '' && !line.startsWith('  '))) throw new Error('a line has no margin')
    return { text: lines.map((line) => line.slice(2)).join('\n') }
  })
}

export async function webhookUnderTest(): Promise<RemoteChannelUnderTest> {
  const receiver = await startHttpReceiver()
  const endpointOf = (name: string): { readonly url: string; readonly secret: string } => ({
    url: `${receiver.url}/${name}`,
    secret: SECRET,
  })
  return {
    channel: webhookChannel({
      endpoints: { first: endpointOf('first'), second: endpointOf('second') },
      anyUrl: { secret: SECRET },
      allow: ['127.0.0.1'],
      allowHttp: true,
      allowPorts: [receiver.port],
    }),
    places: ['first', 'second'],
    refused: [
      '',
      'third',
      '__proto__',
      'http://10.0.0.1/',
      'https://user:pw@example.com/',
      'file:///etc/passwd',
      'a\r\nb',
    ],
    arrived: (place) => receiver.taken(`/${place}`).map(toArrived),
    fail: (place, fault) => receiver.answer(`/${place}`, fault === undefined ? undefined : toScript(fault)),
    close: receiver.close,
  }
}

function toArrived({ headers, body }: Received): ArrivedMessage {
  const { data } = JSON.parse(body) as { readonly data: { readonly text: string } }
  const id = headers['webhook-id']
  return { text: data.text, body, ...(typeof id === 'string' ? { id } : {}) }
}

/** How a receiver that speaks HTTP says what is wrong with it. */
export function toScript(fault: ReceiverFault): Script {
  switch (fault.kind) {
    case 'busy': {
      const { retryAfterSeconds } = fault
      return retryAfterSeconds === undefined
        ? { status: 503 }
        : { status: 429, headers: { 'retry-after': String(retryAfterSeconds) } }
    }
    case 'refuses':
      return { status: 400 }
    case 'gone':
      return { status: 410 }
    case 'stalls':
      return 'no answer'
    case 'resets':
      return 'reset'
  }
}
