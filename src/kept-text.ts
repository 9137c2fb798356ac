/** Parts of texts. Those that are kept longer than the text they come from are copies. */

/**
 * A part of at most `maxChars`, as a text of its own: a plain slice holds all it was cut from in memory. A character that
 * takes two places is not torn apart, unless only one would fit.
 */
export function partOf(text: string, { from, maxChars }: { readonly from: number; readonly maxChars: number }): string {
  const end = from + maxChars
  if (from === 0 && end >= text.length) return text
  const isTorn = maxChars > 1 && isInsideCharacter(text, end)
  return JSON.parse(JSON.stringify(text.slice(from, isTorn ? end - 1 : end))) as string
}

/** Whether a cut at this place would tear a character that takes two places apart. */
export function isInsideCharacter(text: string, at: number): boolean {
  return at > 0 && at < text.length && (text.codePointAt(at - 1) ?? 0) > 0xffff
}

/** The beginning of a text, with a mark where it was cut. */
export function capText(text: string, maxChars: number): string {
  return text.length > maxChars ? `${partOf(text, { from: 0, maxChars })}…` : text
}
