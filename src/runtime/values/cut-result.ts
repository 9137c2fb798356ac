/** A text that is too large to be kept whole, cut: its beginning, and a mark that says how much was left out. */

/** What is kept of a result. */
export interface KeptResult {
  readonly json: string
  readonly bytes: number
  /** It is the beginning of a longer text. */
  readonly isCut: boolean
  /** It is kept beside the record, which it is too large for. */
  readonly isSpilled: boolean
}

/** As much of a text as fits, mark and quotes included, or nothing where not even the mark does. */
export function cutResult(text: string, maxBytes: number): KeptResult | undefined {
  const roomBytes = maxBytes - BYTES_OF_QUOTES - Buffer.byteLength(markOf(text.length))
  if (roomBytes < 0) return undefined
  const kept = beginningOf(text, roomBytes)
  const json = JSON.stringify(kept + markOf(text.length - kept.length))
  return { json, bytes: Buffer.byteLength(json), isCut: true, isSpilled: false }
}

const BYTES_OF_QUOTES = 2

function markOf(leftOutChars: number): string {
  return `… [${leftOutChars} characters left out]`
}

/** Whole characters only. */
function beginningOf(text: string, maxBytes: number): string {
  let bytes = 0
  let end = 0
  while (end < text.length) {
    const character = text.codePointAt(end) ?? 0
    bytes += jsonBytesOf(character)
    if (bytes > maxBytes) break
    end += character > 0xffff ? 2 : 1
  }
  return text.slice(0, end)
}

const ESCAPED_SHORT = new Set(['"', '\\', '\b', '\t', '\n', '\f', '\r'].map((text) => text.charCodeAt(0)))

/** A character inside a JSON string, as UTF-8. Half a surrogate pair is written as an escape. */
function jsonBytesOf(character: number): number {
  if (character < 0x80) return ESCAPED_SHORT.has(character) ? 2 : character < 0x20 ? 6 : 1
  if (character < 0x800) return 2
  if (character >= 0xd800 && character <= 0xdfff) return 6
  return character > 0xffff ? 4 : 3
}
