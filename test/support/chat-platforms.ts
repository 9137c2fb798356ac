/**
 * Slack, Discord, Telegram and Teams as their adapters see them: real HTTP servers on this machine that speak the part of
 * each API that posting needs, refuse what the real ones refuse, and can be made to fail.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { ChatPlatform } from 'outlive/channels/chat'
import { onTestFinished } from 'vitest'

/** What a platform has been asked for, in the order in which it took it. */
export interface ChatAct {
  readonly kind: 'message' | 'typing' | 'deleted'
  /** The channel, and the thread behind a colon. */
  readonly place: string
  readonly text: string
  readonly messageId: string
  /** All that was sent, as it was sent. */
  readonly fields: Readonly<Record<string, unknown>>
}

export type ChatFault =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body: unknown }
  /** It reads everything and never answers, and takes nothing. */
  | 'no answer'
  /** It takes what it is sent and resets the connection. */
  | 'reset'
  /** It takes what it is sent and answers when it is released. */
  | 'held'

export interface FakeChatPlatform {
  readonly platform: ChatPlatform
  /** The base of its API, as its adapter wants it. */
  readonly url: string
  /** What it took, in order. */
  readonly acts: readonly ChatAct[]
  /** The texts that stand in a place now. */
  texts(place: string): readonly string[]
  /** What asks for anything at a place fails so, until it is called again. */
  fail(place: string, fault?: ChatFault): void
  /** What was held is answered. */
  release(): void
  /** Calls that came, taken or not. */
  calls(): number
  close(): Promise<void>
}

/** What of a request a platform reads, and how it answers what it has taken. */
interface Speech {
  read(request: { readonly path: readonly string[]; readonly method: string; readonly body: string }):
    | {
        readonly kind: ChatAct['kind']
        readonly place: string
        readonly text?: string
        readonly messageId?: string
        readonly fields?: ChatAct['fields']
      }
    | undefined
  /** What is wrong with a message, as the platform says it. */
  refuses(act: { readonly text: string; readonly fields: ChatAct['fields'] }): Exclude<ChatFault, string> | undefined
  answers(act: ChatAct): unknown
  /** What is only looked up, and needs no place. */
  looksUp?(path: readonly string[], method: string): unknown
}

export interface FakeChatOptions {
  /** Telegram as it is where rich messages are not known yet. */
  readonly isOld?: boolean
}

export async function startChatPlatform(
  platform: ChatPlatform,
  options: FakeChatOptions = {},
): Promise<FakeChatPlatform> {
  const speech = SPEECHES[platform](options)
  const acts: ChatAct[] = []
  const faults = new Map<string, ChatFault>()
  const held: (() => void)[] = []
  const sockets = new Set<Socket>()
  let calls = 0

  const take = (request: IncomingMessage, response: ServerResponse, body: string): void => {
    const send = (status: number, answer: unknown, headers: Readonly<Record<string, string>> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    }
    calls += 1
    const path = decodeURIComponent(request.url ?? '')
      .split('/')
      .filter((part) => part !== '')
    const found = speech.looksUp?.(path, request.method ?? '')
    if (found !== undefined) return send(200, found)
    const read = speech.read({ path, method: request.method ?? '', body })
    if (read === undefined) return send(404, { ok: false, error_code: 404, description: 'Not Found: method not found' })
    const { text = '', fields = {} } = read
    const fault = faults.get(read.place)
    if (fault === 'no answer') return
    if (typeof fault === 'object') return send(fault.status, fault.body, fault.headers)
    const refusal = read.kind === 'message' ? speech.refuses({ text, fields }) : undefined
    if (refusal !== undefined) return send(refusal.status, refusal.body)
    // Discord knows what it has already by its nonce.
    const known = acts.find(({ fields: { nonce } }) => nonce !== undefined && nonce === fields['nonce'])
    const act = known ?? {
      kind: read.kind,
      place: read.place,
      text,
      fields,
      messageId: read.messageId ?? `${1_000 + acts.length}`,
    }
    if (known === undefined) acts.push(act)
    if (fault === 'reset') return void request.socket.resetAndDestroy()
    const answer = (): void => send(200, speech.answers(act))
    if (fault === 'held') held.push(answer)
    else answer()
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('error', () => undefined)
    request.on('end', () => take(request, response, Buffer.concat(chunks).toString()))
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const fake: FakeChatPlatform = {
    platform,
    url: `http://127.0.0.1:${port}${platform === 'slack' ? '/' : ''}`,
    acts,
    texts(place) {
      const gone = new Set(acts.filter(({ kind }) => kind === 'deleted').map(({ messageId }) => messageId))
      const standing = acts.filter((act) => act.kind === 'message' && act.place === place && !gone.has(act.messageId))
      return standing.map(({ text }) => text)
    },
    fail(place, fault) {
      if (fault === undefined) faults.delete(place)
      else faults.set(place, fault)
    },
    release() {
      for (const answer of held.splice(0)) answer()
    },
    calls: () => calls,
    async close() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  onTestFinished(fake.close)
  return fake
}

function fieldsOf(body: string): Record<string, unknown> {
  return body === '' ? {} : (JSON.parse(body) as Record<string, unknown>)
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

const SPEECHES: Readonly<Record<ChatPlatform, (options: FakeChatOptions) => Speech>> = {
  slack: () => ({
    read({ path, body }) {
      const fields: Record<string, string> = Object.fromEntries(new URLSearchParams(body))
      const place = [fields['channel'], fields['thread_ts']].filter((part) => part !== undefined).join(':')
      if (path[0] === 'chat.delete') return { kind: 'deleted', place, messageId: fields['ts'] ?? '', fields }
      if (path[0] !== 'chat.postMessage') return undefined
      return { kind: 'message', place, text: fields['markdown_text'] ?? fields['text'] ?? '', fields }
    },
    refuses({ text }) {
      if (text.trim() === '') return { status: 200, body: { ok: false, error: 'no_text' } }
      return text.length > 12_000 ? { status: 200, body: { ok: false, error: 'msg_too_long' } } : undefined
    },
    answers: ({ place, messageId }) => ({ ok: true, channel: place, ts: messageId, message: {} }),
  }),
  discord: () => ({
    read({ path, method, body }) {
      const [channels, place = '', what, messageId = ''] = path
      if (channels !== 'channels') return undefined
      const fields = fieldsOf(body)
      if (method === 'POST' && what === 'typing') return { kind: 'typing', place }
      if (method === 'DELETE' && what === 'messages') return { kind: 'deleted', place, messageId }
      if (method !== 'POST' || what !== 'messages') return undefined
      return { kind: 'message', place, text: textOf(fields['content']), fields }
    },
    refuses({ text }) {
      if (text.trim() === '') return { status: 400, body: { code: 50_006, message: 'Cannot send an empty message' } }
      return text.length > 2_000 ? { status: 400, body: { code: 50_035, message: 'Invalid Form Body' } } : undefined
    },
    answers: ({ place, messageId, text }) => ({ id: messageId, channel_id: place, content: text }),
    // All threads are threads of one channel.
    looksUp: ([, id], method) => (method === 'GET' ? { id, parent_id: '4001' } : undefined),
  }),
  telegram: ({ isOld = false }) => ({
    read({ path, body }) {
      const [, method = ''] = path
      const fields = fieldsOf(body)
      const place = [fields['chat_id'], fields['message_thread_id']]
        .map(textOf)
        .filter((part) => part !== '')
        .join(':')
      if (method === 'sendChatAction') return { kind: 'typing', place, text: textOf(fields['action']) }
      if (method === 'deleteMessage') return { kind: 'deleted', place, messageId: textOf(fields['message_id']) }
      if (method === 'sendMessage') return { kind: 'message', place, text: textOf(fields['text']), fields }
      if (method !== 'sendRichMessage' || isOld) return undefined
      return {
        kind: 'message',
        place,
        text: textOf((fields['rich_message'] as { markdown: unknown }).markdown),
        fields,
      }
    },
    refuses({ text, fields }) {
      const isRich = fields['rich_message'] !== undefined
      if (text.trim() === '') return badRequest('message text is empty')
      return text.length > (isRich ? 32_768 : 4_096) ? badRequest('message is too long') : undefined
    },
    answers({ kind, place, messageId, text }) {
      if (kind !== 'message') return { ok: true, result: true }
      const [id = ''] = place.split(':')
      return { ok: true, result: { message_id: Number(messageId), date: 1, chat: { id, type: 'group' }, text } }
    },
  }),
  teams: () => ({
    read({ path, method, body }) {
      const [, , place = '', what, messageId = ''] = path
      if (what !== 'activities') return undefined
      const fields = fieldsOf(body)
      if (method === 'DELETE') return { kind: 'deleted', place, messageId }
      if (fields['type'] === 'typing') return { kind: 'typing', place, fields }
      return { kind: 'message', place, text: textOf(fields['text']), fields }
    },
    refuses({ text }) {
      if (text.trim() === '') return { status: 400, body: { error: { code: 'BadSyntax', message: 'no text' } } }
      return text.length > 40_000 ? { status: 413, body: { error: { code: 'MessageSizeTooBig' } } } : undefined
    },
    answers: ({ messageId }) => ({ id: messageId }),
  }),
}

function badRequest(why: string): Exclude<ChatFault, string> {
  return { status: 400, body: { ok: false, error_code: 400, description: `Bad Request: ${why}` } }
}
