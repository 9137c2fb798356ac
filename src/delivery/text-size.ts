/** How long a text is in the unit that a platform counts. */
import { isInsideCharacter } from '../kept-text.ts'
import { badOption, checkChoice, checkOptionNames } from '../options.ts'
import type { ChannelLimits } from '../ports/channel.ts'

export type TextUnit = NonNullable<ChannelLimits['unit']>

/** What a message needs at least for its marks and some of its text. */
const LEAST_MESSAGE_CHARS = 160

/** The limits of a channel, as it was set up. @throws TypeError */
export function checkChannelLimits(name: string, limits: unknown): ChannelLimits {
  const { maxChars, unit } = checkOptionNames(name, limits, ['maxChars', 'unit'])
  const isFine = typeof maxChars === 'number' && maxChars >= LEAST_MESSAGE_CHARS
  if (!isFine || (maxChars !== Infinity && !Number.isInteger(maxChars))) {
    throw badOption(`${name}.maxChars`, `a whole number of at least ${LEAST_MESSAGE_CHARS}, or Infinity`, maxChars)
  }
  if (unit === undefined) return { maxChars }
  return { maxChars, unit: checkChoice(`${name}.unit`, unit, ['utf16', 'codePoints', 'bytes']) }
}

export function sizeOf(text: string, unit: TextUnit): number {
  switch (unit) {
    case 'utf16':
      return text.length
    case 'bytes':
      return Buffer.byteLength(text)
    case 'codePoints': {
      let size = 0
      for (let at = 0; at < text.length; at += isPair(text, at) ? 2 : 1) size += 1
      return size
    }
  }
}

/** A text that was measured once; any part of it is measured at once. */
export interface MeasuredText {
  sizeBetween(from: number, to: number): number
  /** The last place from which back to `from` is not more than `size`; never inside a character. */
  endWithin(from: number, size: number): number
}

export function measure(text: string, unit: TextUnit): MeasuredText {
  if (unit === 'utf16') {
    return {
      sizeBetween: (from, to) => to - from,
      endWithin(from, size) {
        const end = Math.min(text.length, from + size)
        return isInsideCharacter(text, end) ? end - 1 : end
      },
    }
  }
  const sizes = sizesUpTo(text, unit)
  const sizeBetween = (from: number, to: number): number => (sizes[to] ?? 0) - (sizes[from] ?? 0)
  return {
    sizeBetween,
    endWithin(from, size) {
      let low = from
      let high = text.length
      while (low < high) {
        const middle = Math.ceil((low + high) / 2)
        if (sizeBetween(from, middle) <= size) low = middle
        else high = middle - 1
      }
      return low
    },
  }
}

/** The size of the text before each place. A pair counts as a whole from its middle on, so that a search ends behind it. */
function sizesUpTo(text: string, unit: TextUnit): Uint32Array {
  const sizes = new Uint32Array(text.length + 1)
  let size = 0
  let at = 0
  while (at < text.length) {
    const pair = isPair(text, at)
    size += unit === 'codePoints' ? 1 : bytesOf(text.codePointAt(at) ?? 0)
    at += 1
    sizes[at] = size
    if (!pair) continue
    at += 1
    sizes[at] = size
  }
  return sizes
}

function isPair(text: string, at: number): boolean {
  return (text.codePointAt(at) ?? 0) > 0xffff
}

function bytesOf(character: number): number {
  if (character < 0x80) return 1
  if (character < 0x800) return 2
  return character > 0xffff ? 4 : 3
}
