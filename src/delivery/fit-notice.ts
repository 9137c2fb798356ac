/**
 * A notice as messages.
 *
 * 1. Each message fits the limits, and there are at most as many as asked for.
 * 2. What is left out is said in the last line of the last message, outside of any fence.
 * 3. Of several messages each but the first begins with its number, and the first ends with it.
 */
import type { ChannelLimits } from '../ports/channel.ts'
import type { NoticeDocument } from './notice-document.ts'
import { createSplitter, type TextPart } from './split-text.ts'
import { sizeOf } from './text-size.ts'

const NUMBERS = new Intl.NumberFormat('en-US')

export function fitNotice(
  document: NoticeDocument,
  { maxMessages, limits }: { readonly maxMessages: number; readonly limits: ChannelLimits },
): readonly string[] {
  const { maxChars, unit = 'utf16' } = limits
  const end = document.markdown.length
  const splitter = createSplitter(document.markdown, unit)
  const size = (text: string): number => sizeOf(text, unit)

  const restLine = restLineFor(document, (line) => size(line) <= maxChars / 2)
  const restRoom = size(`\n${restLine(0)}`)

  const withRest = ({ text, to }: TextPart): string =>
    to === end && document.hiddenChars === 0 ? text : underneath(text, restLine(to))

  /** The text from a place on, with the line about the rest where there is a rest, if that fits. */
  const takeAll = (from: number, room: number): string | undefined => {
    const part = splitter.take(from, room)
    if (part.to < end) return undefined
    if (document.hiddenChars > 0 && size(part.text) + restRoom > room) return undefined
    return withRest(part)
  }

  const takeLast = (from: number, room: number): string => withRest(splitter.take(from, room - restRoom))

  const single = takeAll(0, maxChars) ?? (maxMessages === 1 ? takeLast(0, maxChars) : undefined)
  if (single !== undefined) return [single]

  const room = maxChars - size(numberLine(maxMessages, maxMessages)) - 1
  const texts: string[] = []
  let from = 0
  for (;;) {
    const last = takeAll(from, room) ?? (texts.length === maxMessages - 1 ? takeLast(from, room) : undefined)
    if (last !== undefined) {
      texts.push(last)
      return texts.map((text, index) => numbered(text, index + 1, texts.length))
    }
    let part = splitter.take(from, room)
    // The line about the rest is sent with some of the text.
    if (part.to === end) part = splitter.take(from, part.to - from > 1 ? room - restRoom : room)
    texts.push(part.text)
    from = part.to
  }
}

function numbered(text: string, part: number, parts: number): string {
  return part === 1 ? underneath(text, numberLine(part, parts)) : `${numberLine(part, parts)}\n${text}`
}

function numberLine(part: number, parts: number): string {
  return `(${part}/${parts})`
}

function underneath(text: string, line: string): string {
  return text.endsWith('\n') ? `${text}${line}` : `${text}\n${line}`
}

/** The line about what is behind a place; the longest one for 0. */
function restLineFor(document: NoticeDocument, mayBe: (line: string) => boolean): (from: number) => string {
  const { bodies, heads, hiddenChars, task } = document
  const how =
    task === undefined ? 'Ask for a task by its id to read all of it.' : `Ask for task ${task} to read all of it.`
  const restOf = (from: number): string => {
    const chars = bodies.reduce((sum, body) => sum + Math.max(0, body.to - Math.max(body.from, from)), hiddenChars)
    const tasks = heads.length < 2 ? 0 : heads.filter((head) => head >= from).length
    const rest = [counted(chars, 'character'), counted(tasks, 'task')].filter((text) => text !== undefined)
    return `… ${rest.join(' and ') || 'more'}.`
  }
  const isLongOne = mayBe(`${restOf(0)} ${how}`)
  return (from) => (isLongOne ? `${restOf(from)} ${how}` : restOf(from))
}

function counted(count: number, what: string): string | undefined {
  if (count === 0) return undefined
  return `${NUMBERS.format(count)} more ${what}${count === 1 ? '' : 's'}`
}
