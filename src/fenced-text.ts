/** Texts of others, set apart from our own. */

/** The text in a fence that nothing in it can close. */
export function fenced(text: string): string {
  const fence = fenceFor(text)
  return `${fence}\n${text}\n${fence}`
}

/** One backtick more than the longest run in the text, and at least three. */
export function fenceFor(text: string): string {
  let longest = 0
  let end = 0
  for (let at = text.indexOf('`'); at !== -1; at = text.indexOf('`', end)) {
    end = at + 1
    while (text[end] === '`') end += 1
    longest = Math.max(longest, end - at)
  }
  return '`'.repeat(Math.max(3, longest + 1))
}
