/** Where fences begin and end in a Markdown text. What stands in quotes and deeper lists counts as plain text. */

/** A fence as its opening line has it. */
export interface Fence {
  readonly indent: string
  /** The run of backticks or tildes. */
  readonly marker: string
  /** What follows the marker on its line. */
  readonly info: string
}

export interface MarkdownLine {
  readonly from: number
  /** Without the line break. */
  readonly to: number
  readonly role: 'opens' | 'closes' | 'blank' | 'text'
  /** The fence that is open where the line begins. */
  readonly inside: Fence | undefined
  /** The fence that is open where the line ends. */
  readonly after: Fence | undefined
}

/** At least one line, also of an empty text. Takes time in proportion to the text. */
export function readMarkdownLines(text: string): readonly MarkdownLine[] {
  const lines: MarkdownLine[] = []
  let inside: Fence | undefined
  let from = 0
  for (;;) {
    const lineBreak = text.indexOf('\n', from)
    const to = lineBreak === -1 ? text.length : lineBreak
    const line = toLine(text, { from, to, inside })
    lines.push(line)
    if (lineBreak === -1) return lines
    inside = line.after
    from = lineBreak + 1
  }
}

/** The line that a place is in; a place after a line break is in the next line. */
export function lineAt(lines: readonly MarkdownLine[], at: number): number {
  let low = 0
  let high = lines.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((lines[middle]?.from ?? 0) <= at) low = middle
    else high = middle - 1
  }
  return low
}

function toLine(
  text: string,
  { from, to, inside }: { readonly from: number; readonly to: number; readonly inside: Fence | undefined },
): MarkdownLine {
  if (inside !== undefined) {
    const closes = closesFence(text.slice(from, to), inside)
    return { from, to, inside, role: closes ? 'closes' : 'text', after: closes ? undefined : inside }
  }
  const opened = openedFence(text.slice(from, to))
  if (opened !== undefined) return { from, to, inside, role: 'opens', after: opened }
  return { from, to, inside, role: isBlank(text.slice(from, to)) ? 'blank' : 'text', after: undefined }
}

/** Whether a line ends this fence. */
export function closesFence(line: string, { marker }: Fence): boolean {
  const run = readRun(line)
  return (
    run !== undefined &&
    run.marker[0] === marker[0] &&
    run.marker.length >= marker.length &&
    isBlank(line.slice(run.indent.length + run.marker.length))
  )
}

/** The fence that a line begins. */
export function openedFence(line: string): Fence | undefined {
  const run = readRun(line)
  if (run === undefined) return undefined
  const info = line.slice(run.indent.length + run.marker.length)
  if (run.marker.startsWith('`') && info.includes('`')) return undefined
  return { info: info.trimEnd(), ...run }
}

/** The three or more backticks or tildes that a line begins with, after at most three spaces. */
function readRun(line: string): { readonly indent: string; readonly marker: string } | undefined {
  let at = 0
  while (at < 3 && line[at] === ' ') at += 1
  const character = line[at]
  if (character !== '`' && character !== '~') return undefined
  let end = at
  while (line[end] === character) end += 1
  return end - at < 3 ? undefined : { indent: line.slice(0, at), marker: line.slice(at, end) }
}

function isBlank(line: string): boolean {
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at]
    if (character !== ' ' && character !== '\t' && character !== '\r') return false
  }
  return true
}
