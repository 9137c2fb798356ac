/**
 * Cuts a Markdown text into messages that fit.
 *
 * 1. What the parts have of the text, joined, is the text. Nothing is trimmed.
 * 2. No part is longer than the limit, in the platform's own unit.
 * 3. A fence that is open at a cut is closed there and opened again, with its info string, in the next part; a fence is
 *    open where the text had it open, and nowhere else. Cuts inside a line never make a line that opens or closes one.
 * 4. Cuts are made between blocks, else between lines, else between words, else between characters as people see them,
 *    and only where one of these is larger than a part between code points. The first of these that fills a fair share
 *    of the part is taken.
 * 5. Time grows with the text and no faster.
 *
 * A fence that would take half of a part is not opened again. A line that opens a fence and is longer than a part is cut,
 * and what was left of it counts as inside; so is a line of fence characters alone.
 */
import { badOption } from '../options.ts'
import type { ChannelLimits } from '../ports/channel.ts'
import {
  closesFence,
  lineAt,
  openedFence,
  readMarkdownLines,
  type Fence,
  type MarkdownLine,
} from '../markdown-lines.ts'
import { measure, sizeOf, type MeasuredText, type TextUnit } from './text-size.ts'

export interface TextPart {
  /** What is sent: what of the text is in it, between what opens and what closes a fence. */
  readonly text: string
  /** Where in the whole text it begins and ends. */
  readonly from: number
  readonly to: number
}

export interface TextSplitter {
  /** The longest good part from a place on. It always has at least one character. */
  take(from: number, maxSize: number): TextPart
}

/** Smaller parts could not hold every character in every unit, and twice that is needed beside a fence. */
const LEAST_PART_SIZE = 8
/** How much of a part is filled at least before the next lesser kind of cut is tried. */
const LEAST_FILLED = { block: 0.5, line: 0.3, word: 0.5 } as const
/** How many places are tried before a cut is made that is not as it should be. */
const MAX_TRIES = 64
/** How far ahead a line is read to tell if it would be taken for a fence. */
const MAX_AHEAD = 1_024

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' })
const HEADING = /^ {0,3}#{1,6}[ \t]/

/** The parts of a text; none of an empty one. @throws TypeError for a limit that is too small to cut for */
export function splitText(text: string, limits: ChannelLimits): readonly string[] {
  const { maxChars, unit = 'utf16' } = limits
  if (!(maxChars >= LEAST_PART_SIZE)) throw badOption('maxChars', `at least ${LEAST_PART_SIZE}`, maxChars)
  const splitter = createSplitter(text, unit)
  const parts: string[] = []
  let from = 0
  while (from < text.length) {
    const part = splitter.take(from, maxChars)
    parts.push(part.text)
    from = part.to
  }
  return parts
}

/** The beginning of a text, cut between characters as people see them. */
export function beginningOf(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text
  const end = boundaryBefore(text, { from: 0, at: measure(text, 'utf16').endWithin(0, maxChars) })
  return text.slice(0, end)
}

export function createSplitter(text: string, unit: TextUnit): TextSplitter {
  const source: Source = { text, unit, lines: readMarkdownLines(text), measured: measure(text, unit) }
  return {
    take(from, maxSize) {
      const opened = openingOf(source, fenceAt(source, from), maxSize)
      const room = maxSize - sizeOf(opened, unit)
      const window = { from, room, maxSize, end: lastPlace(source, from, room) }
      const to = chooseCut(source, window)
      const closed = closingOf(source, to, maxSize)
      return { text: `${opened}${text.slice(from, to)}${closed}`, from, to }
    },
  }
}

interface Source {
  readonly text: string
  readonly unit: TextUnit
  readonly lines: readonly MarkdownLine[]
  readonly measured: MeasuredText
}

/** Where the next cut may be. */
interface Window {
  readonly from: number
  /** What text and closing fence may take. */
  readonly room: number
  readonly maxSize: number
  /** The last place that fits when nothing has to be closed. */
  readonly end: number
}

function lastPlace({ text, measured }: Source, from: number, room: number): number {
  const end = measured.endWithin(from, room)
  if (end > from) return end
  return from + ((text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1)
}

/** The fence that is open at a place. */
function fenceAt({ lines }: Source, at: number): Fence | undefined {
  const line = lines[lineAt(lines, at)]
  if (line === undefined || at === line.from) return line?.inside
  if (line.role === 'closes') return at - line.from < (line.inside?.marker.length ?? 0) ? line.inside : line.after
  return line.after
}

/** What a fence takes decides how much of it is repeated. */
function shapeOf({ unit }: Source, fence: Fence, maxSize: number): 'whole' | 'bare' | 'none' {
  // Backticks, tildes and spaces count one in every unit.
  const bare = 2 * (fence.indent.length + fence.marker.length + 1)
  if (2 * bare > maxSize) return 'none'
  // In every unit a text has at least half as much as it has places, so a long one need not be measured.
  if (fence.info.length > 2 * maxSize) return 'bare'
  return 2 * (bare + sizeOf(fence.info, unit)) > maxSize ? 'bare' : 'whole'
}

function openingOf(source: Source, fence: Fence | undefined, maxSize: number): string {
  if (fence === undefined) return ''
  const shape = shapeOf(source, fence, maxSize)
  if (shape === 'none') return ''
  return `${fence.indent}${fence.marker}${shape === 'whole' ? fence.info : ''}\n`
}

function closingOf(source: Source, at: number, maxSize: number): string {
  const fence = fenceAt(source, at)
  if (fence === undefined || shapeOf(source, fence, maxSize) === 'none') return ''
  return `${source.text[at - 1] === '\n' ? '' : '\n'}${fence.indent}${fence.marker}`
}

function chooseCut(source: Source, window: Window): number {
  const { text } = source
  if (window.end === text.length && fits(source, window, text.length)) return text.length
  return (
    cutBetweenLines(source, window) ??
    cutBetweenWords(source, window) ??
    cutBetweenCharacters(source, window) ??
    cutBeforeLine(source, window) ??
    cutAnywhere(source, window)
  )
}

function fits(source: Source, { from, room, maxSize }: Window, at: number): boolean {
  const size = source.measured.sizeBetween(from, at) + sizeOf(closingOf(source, at, maxSize), source.unit)
  return at > from && size <= room
}

function fills(source: Source, { from, room }: Window, at: number, share: number): boolean {
  return source.measured.sizeBetween(from, at) >= room * share
}

function cutBetweenLines(source: Source, window: Window): number | undefined {
  const { lines } = source
  let between: number | undefined
  for (let index = lineAt(lines, window.end); index > 0; index -= 1) {
    const at = lines[index]?.from ?? 0
    if (at <= window.from || !fills(source, window, at, LEAST_FILLED.line)) break
    const isBlock = beginsBlock(source, index)
    if (between !== undefined && !(isBlock && fills(source, window, at, LEAST_FILLED.block))) continue
    if (!fits(source, window, at) || leavesEmptyFence(lines, index)) continue
    if (isBlock && fills(source, window, at, LEAST_FILLED.block)) return at
    between = at
  }
  return between
}

/** Whether a new block begins with this line. */
function beginsBlock({ text, lines }: Source, index: number): boolean {
  const line = lines[index]
  const previous = lines[index - 1]
  if (line === undefined || line.inside !== undefined || line.role === 'blank') return false
  if (line.role === 'opens' || previous?.role === 'blank' || previous?.role === 'closes') return true
  return HEADING.test(text.slice(line.from, Math.min(line.to, line.from + 16)))
}

/** A cut behind a line that opens a fence, or before one that closes it, would leave a fence with nothing in it. */
function leavesEmptyFence(lines: readonly MarkdownLine[], index: number): boolean {
  return lines[index - 1]?.role === 'opens' || lines[index]?.role === 'closes'
}

function cutBetweenWords(source: Source, window: Window): number | undefined {
  const { text } = source
  let tries = 0
  for (let at = window.end; at > window.from && tries < MAX_TRIES; at -= 1) {
    if (!fills(source, window, at, LEAST_FILLED.word)) break
    if (!isSpace(text[at - 1]) || isSpace(text[at])) continue
    tries += 1
    // Nothing before a space changes what follows it.
    const isWhole = boundaryBefore(text, { from: at - 1, at }) === at
    if (isWhole && fits(source, window, at) && keepsFences(source, window, at)) return at
  }
  return undefined
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

function cutBetweenCharacters(source: Source, window: Window): number | undefined {
  const { text } = source
  const segments = GRAPHEMES.segment(text.slice(window.from, window.end + 2))
  let at = window.end
  for (let tries = 0; tries < MAX_TRIES && at > window.from; tries += 1) {
    const boundary = at === text.length ? at : window.from + (segments.containing(at - window.from)?.index ?? 0)
    if (boundary <= window.from) return undefined
    if (fits(source, window, boundary) && keepsFences(source, window, boundary)) return boundary
    at = boundary - 1
  }
  return undefined
}

/** The last line break that fits, however little is before it. */
function cutBeforeLine(source: Source, window: Window): number | undefined {
  const { lines } = source
  for (let index = lineAt(lines, window.end); index > 0; index -= 1) {
    const at = lines[index]?.from ?? 0
    if (at <= window.from) break
    if (fits(source, window, at)) return at
  }
  return undefined
}

/** The last place that fits, whatever it does to characters of several code points and to lines like fences. */
function cutAnywhere(source: Source, window: Window): number {
  const { text } = source
  const { from } = window
  const first = from + ((text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1)
  let at = window.end
  while (at > first && !fits(source, window, at)) {
    at -= (text.codePointAt(at - 2) ?? 0) > 0xffff ? 2 : 1
  }
  return Math.max(at, first)
}

/** The last place up to `at` that is between characters as people see them. */
function boundaryBefore(text: string, { from, at }: { readonly from: number; readonly at: number }): number {
  if (at === text.length) return at
  const index = GRAPHEMES.segment(text.slice(from, at + 2)).containing(at - from)?.index
  return from + (index ?? 0)
}

/** Whether a cut makes no line that opens or closes a fence, and cuts none that does. */
function keepsFences({ text, lines }: Source, { from }: Window, at: number): boolean {
  const line = lines[lineAt(lines, at)]
  if (line === undefined || at === line.from) return true
  if (line.role === 'opens' || line.role === 'closes') return false
  const fence = line.inside
  const before = text.slice(Math.max(from, line.from), at)
  const behind = text.slice(at, Math.min(line.to, at + MAX_AHEAD))
  if (fence === undefined) return openedFence(before) === undefined && openedFence(behind) === undefined
  return !closesFence(before, fence) && !closesFence(behind, fence)
}
