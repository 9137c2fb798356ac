/**
 * A long text as pages.
 *
 * 1. The pages in their order are the text, to the character.
 * 2. Each page fits, unless not even one character does; a page always has at least one.
 * 3. No page ends inside a character that takes two places. It ends after a paragraph, a line or a word where there is an
 *    end of one in its last part.
 */
import { isInsideCharacter } from '../../kept-text.ts'

export type Fits = (part: string) => boolean

/** Where a page may end, best first: after which mark, and at least how far into what would fit. */
const ENDS = [
  { mark: '\n\n', from: 0.75 },
  { mark: '\n', from: 0.5 },
  { mark: ' ', from: 0.5 },
] as const

/** How long a page is taken to be before one was cut. */
const FIRST_GUESS = 1_024
/** The search for the longest page ends when it can gain no more than this part of it. */
const PRECISION = 64

/** An empty text is one empty page. */
export function cutPages(text: string, fits: Fits): string[] {
  const pages: string[] = []
  let guess = FIRST_GUESS
  let from = 0
  do {
    const page = cutPage(text.slice(from), fits, guess)
    pages.push(page)
    from += page.length
    guess = page.length
  } while (from < text.length)
  return pages
}

/** The first page of a text. */
export function cutPage(rest: string, fits: Fits, guess = FIRST_GUESS): string {
  const longest = longestFit(rest, fits, guess)
  if (longest === rest.length) return rest
  const whole = rest.slice(0, longest)
  for (const { mark, from } of ENDS) {
    const at = whole.lastIndexOf(mark)
    const page = whole.slice(0, at + mark.length)
    // How many tokens a text has is not told by the texts it begins with, so each one is asked for.
    if (at !== -1 && page.length >= longest * from && fits(page)) return page
  }
  return whole
}

/** How many characters of the text fit, about; at least the first one. */
function longestFit(text: string, fits: Fits, guess: number): number {
  const fitsUpTo = (length: number): boolean => fits(text.slice(0, length))
  let fitting = 0
  let tooLong = Math.max(1, guess)
  while (tooLong < text.length && fitsUpTo(wholeLength(text, tooLong))) {
    fitting = wholeLength(text, tooLong)
    tooLong *= 2
  }
  if (tooLong >= text.length) {
    if (fitsUpTo(text.length)) return text.length
    tooLong = text.length
  }
  while (tooLong - fitting > Math.max(1, fitting / PRECISION)) {
    const middle = wholeLength(text, Math.floor((fitting + tooLong) / 2))
    if (middle <= fitting) break
    if (fitsUpTo(middle)) fitting = middle
    else tooLong = middle
  }
  return fitting > 0 ? fitting : firstCharacterLength(text)
}

/** The length, or one less where it would tear a character apart. */
function wholeLength(text: string, length: number): number {
  return isInsideCharacter(text, length) ? length - 1 : length
}

function firstCharacterLength(text: string): number {
  return isInsideCharacter(text, 1) ? 2 : 1
}
