/**
 * Markdown as chat platforms take it, in the same length.
 *
 * They know fences of three backticks only and end a code block at the next three, wherever these stand. And a bare `@name`
 * becomes a mention on its way.
 */
import { readMarkdownLines } from '../../../markdown-lines.ts'

/** A modifier letter that looks like a backtick. */
const NO_BACKTICK = '\u02cb'
/** A full-width sign that looks like an at. */
const NO_AT = '\uff20'
const CODE_SPAN = /(`+)(?!`)[^]*?(?<!`)\1(?!`)/g
const BARE_AT = /(?<![\p{L}\p{N}_])@(?=[\p{L}\p{N}_!&])/gu
/** Slack's own marks for people, groups and channels. */
const SLACK_MARK = /<(?=[!@#])/g
const NO_ANGLE = '\u2039'

const LINE_BREAK = /\r\n?/g
const UNSENDABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|[\ud800-\udfff]/gu

/** Nothing that a platform cannot take, or that moves a cursor where it is read. */
export function sendable(text: string): string {
  return text.replace(LINE_BREAK, '\n').replace(UNSENDABLE, '\ufffd')
}

/** Fences of three backticks, and no three backticks inside. Shorter where a longer fence was needed, never longer. */
export function toPlainFences(markdown: string): string {
  const lines = readMarkdownLines(markdown).map(({ from, to, role, inside, after }) => {
    const line = markdown.slice(from, to)
    if (role === 'opens') return `\`\`\`${after?.info.trimStart() ?? ''}`
    if (role === 'closes') return '```'
    return inside === undefined ? line : line.replace(/```/g, `\`\`${NO_BACKTICK}`)
  })
  return lines.join('\n')
}

/** Nothing outside of code is a mention any more. What stands in code is none for any platform. */
export function withoutMentions(markdown: string): string {
  return outsideCode(markdown, (text) => text.replace(BARE_AT, NO_AT))
}

/** Slack reads its marks in code, too. */
export function withoutSlackMarks(markdown: string): string {
  return markdown.replace(SLACK_MARK, NO_ANGLE)
}

function outsideCode(markdown: string, change: (text: string) => string): string {
  let changed = ''
  let outside = ''
  const flush = (): void => {
    let end = 0
    for (const span of outside.matchAll(CODE_SPAN)) {
      changed += change(outside.slice(end, span.index)) + span[0]
      end = span.index + span[0].length
    }
    changed += change(outside.slice(end))
    outside = ''
  }
  for (const { from, to, role, inside } of readMarkdownLines(markdown)) {
    const line = markdown.slice(from, to + 1)
    if (inside === undefined && role !== 'opens') {
      outside += line
      continue
    }
    flush()
    changed += line
  }
  flush()
  return changed
}
