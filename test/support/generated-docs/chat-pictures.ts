/** What a fake platform has received, drawn as its people see it. */
import type { ChatPlatform } from 'outlive/channels/chat'
import type { ChatAct } from '../chat-platforms.ts'

interface Theme {
  readonly page: string
  readonly text: string
  readonly muted: string
  readonly code: string
  readonly codeEdge: string
  readonly inlineCode: string
  readonly badge: string
  readonly badgeText: string
  /** What a message stands on, where it stands on something. */
  readonly bubble?: string
}

const THEMES: Readonly<Record<ChatPlatform, Theme>> = {
  slack: {
    page: '#ffffff',
    text: '#1d1c1d',
    muted: '#616061',
    code: '#f8f8f8',
    codeEdge: '#dddddd',
    inlineCode: '#c01343',
    badge: '#dddddd',
    badgeText: '#454447',
  },
  discord: {
    page: '#313338',
    text: '#dbdee1',
    muted: '#949ba4',
    code: '#2b2d31',
    codeEdge: '#1e1f22',
    inlineCode: '#dbdee1',
    badge: '#5865f2',
    badgeText: '#ffffff',
  },
  telegram: {
    page: '#d6e4cf',
    text: '#0f1419',
    muted: '#5d7356',
    code: '#eff5ea',
    codeEdge: '#8bb774',
    inlineCode: '#2f6fb2',
    badge: '#8bb774',
    badgeText: '#ffffff',
    bubble: '#ffffff',
  },
  teams: {
    page: '#f5f5f5',
    text: '#242424',
    muted: '#616161',
    code: '#fafafa',
    codeEdge: '#d1d1d1',
    inlineCode: '#424242',
    badge: '#e8ebfa',
    badgeText: '#5b5fc7',
    bubble: '#ffffff',
  },
}

const WIDTH = 760
const LEFT = 72
const LINE = 20
const PAD = 10
const CODE_LINES = { first: 5, last: 3 }
const SANS = "'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
const MONO = "Consolas, 'DejaVu Sans Mono', monospace"

export function drawChat(platform: ChatPlatform, acts: readonly ChatAct[]): string {
  const theme = THEMES[platform]
  const deleted = new Set(acts.filter(({ kind }) => kind === 'deleted').map(({ messageId }) => messageId))
  const shown: string[] = []
  let y = 16
  const add = (piece: { readonly svg: string; readonly height: number }): void => {
    shown.push(piece.svg)
    y += piece.height
  }
  const isTyping = acts.some(({ kind }) => kind === 'typing')
  for (const act of acts) {
    if (act.kind !== 'message') continue
    add(drawMessage(act.text, { y, theme }))
    if (deleted.has(act.messageId)) add(drawRemark('deleted when the task had ended', { y: y - 8, theme }))
    // It is shown in between, and not in one order with the messages.
    else if (isTyping && act.text.includes(' goes on in the background'))
      add(drawRemark('outlive is typing…', { y: y - 8, theme }))
  }
  const height = y + 8
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="What ${platform} received, as it looks there">`,
    `<rect width="${WIDTH}" height="${height}" fill="${theme.page}"/>`,
    ...shown,
    '</svg>',
    '',
  ].join('\n')
}

interface Place {
  readonly y: number
  readonly theme: Theme
}

function drawMessage(markdown: string, { y, theme }: Place): { readonly svg: string; readonly height: number } {
  const pieces: string[] = []
  let at = y + 16
  pieces.push(
    `<rect x="20" y="${y}" width="36" height="36" rx="8" fill="${theme.badge}"/>`,
    text('o', { x: 38, y: y + 24, size: 20, fill: theme.badgeText, extra: 'text-anchor="middle" font-weight="700"' }),
    text('outlive', { x: LEFT, y: at, size: 15, fill: theme.text, extra: 'font-weight="700"' }),
    `<rect x="${LEFT + 64}" y="${at - 12}" width="32" height="15" rx="3" fill="${theme.badge}"/>`,
    text('APP', { x: LEFT + 80, y: at - 1, size: 10, fill: theme.badgeText, extra: 'text-anchor="middle"' }),
  )
  at += 8
  for (const block of toBlocks(markdown)) {
    if (block.isCode) {
      const height = block.lines.length * LINE + PAD
      at += 4
      pieces.push(
        `<rect x="${LEFT}" y="${at + 4}" width="${WIDTH - LEFT - 28}" height="${height}" rx="4" fill="${theme.code}" stroke="${theme.codeEdge}"/>`,
      )
      for (const [index, line] of block.lines.entries()) {
        const isMark = line.startsWith('⋯')
        const fill = isMark ? theme.muted : theme.text
        pieces.push(text(line, { x: LEFT + PAD, y: at + 4 + 19 + index * LINE, size: 13, fill, font: MONO }))
      }
      at += height + 8
      continue
    }
    for (const line of block.lines) {
      at += LINE
      pieces.push(drawLine(line, { y: at, theme }))
    }
  }
  const height = at - y + 14
  const bubble =
    theme.bubble === undefined
      ? ''
      : `<rect x="${LEFT - 10}" y="${y - 4}" width="${WIDTH - LEFT - 8}" height="${height}" rx="10" fill="${theme.bubble}"/>\n`
  return { svg: bubble + pieces.join('\n'), height: height + 12 }
}

function drawRemark(remark: string, { y, theme }: Place): { readonly svg: string; readonly height: number } {
  const svg = text(remark, { x: LEFT, y: y + 12, size: 12, fill: theme.muted, extra: 'font-style="italic"' })
  return { svg, height: 26 }
}

/** A line with its inline code. */
function drawLine(line: string, { y, theme }: Place): string {
  const spans = line.split(/(`[^`]+`)/).map((span) => {
    if (!span.startsWith('`')) return `<tspan>${escaped(span)}</tspan>`
    return `<tspan font-family="${MONO}" font-size="13" fill="${theme.inlineCode}">${escaped(span.slice(1, -1))}</tspan>`
  })
  return `<text x="${LEFT}" y="${y}" font-family="${SANS}" font-size="15" fill="${theme.text}" xml:space="preserve">${spans.join('')}</text>`
}

interface TextStyle {
  readonly x: number
  readonly y: number
  readonly size: number
  readonly fill: string
  readonly font?: string
  readonly extra?: string
}

function text(content: string, { x, y, size, fill, font = SANS, extra = '' }: TextStyle): string {
  return `<text x="${x}" y="${y}" font-family="${font}" font-size="${size}" fill="${fill}" xml:space="preserve" ${extra}>${escaped(content)}</text>`
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

interface Block {
  readonly isCode: boolean
  readonly lines: string[]
}

/** The code blocks of a message and the lines between them; of long code only the ends. */
function toBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let isCode = false
  for (const line of markdown.split('\n')) {
    if (/^`{3,}/.test(line)) {
      isCode = !isCode
      if (isCode) blocks.push({ isCode, lines: [] })
      continue
    }
    const last = blocks.at(-1)
    if (last?.isCode === isCode) last.lines.push(line)
    else blocks.push({ isCode, lines: [line] })
  }
  return blocks.map((block) => ({ ...block, lines: block.isCode ? shortened(block.lines) : block.lines }))
}

function shortened(lines: readonly string[]): string[] {
  const { first, last } = CODE_LINES
  const left = lines.length - first - last
  return left < 2 ? [...lines] : [...lines.slice(0, first), `⋯ ${left} lines ⋯`, ...lines.slice(-last)]
}
