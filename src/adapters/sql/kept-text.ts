/**
 * How texts are kept in columns. PostgreSQL refuses NUL, and no database keeps half of a surrogate pair, so these are
 * written as JSON writes them.
 *
 * 1. Two texts are kept the same exactly if they are the same.
 * 2. What is usual in a text is kept as it is.
 */

/** A text of the host's, as it is kept. */
export function toKept(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

export function fromKept(kept: string): string {
  return JSON.parse(`"${kept}"`) as string
}

const NOT_KEPT_IN_JSON = /[\p{Surrogate}\u0000]/gu

/** JSON as it is kept: the same value, in characters that every database keeps. */
export function toKeptJson(json: string): string {
  return json.replace(NOT_KEPT_IN_JSON, (character) => JSON.stringify(character).slice(1, -1))
}
