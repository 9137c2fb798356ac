/** A notice as one Markdown text, before it is cut into messages. It knows what of it is whose, to say what is left out. */
import { fenceFor } from '../fenced-text.ts'
import { beginningOf } from './split-text.ts'

export interface NoticeDocument {
  readonly markdown: string
  /** Where the texts of tasks stand in it. */
  readonly bodies: readonly { readonly from: number; readonly to: number }[]
  /** Where it begins to speak of each task. */
  readonly heads: readonly number[]
  /** Characters of the texts of tasks that are not in it at all. */
  readonly hiddenChars: number
  /** Names the only task that it is about. */
  readonly task: string | undefined
}

export interface DocumentWriter {
  /** The line that begins to speak of a task. */
  head(line: string): void
  line(line: string): void
  /** A text of a task, in a fence, of at most so many characters. */
  body(body: NoticeBody, maxChars: number): void
  end(task: string | undefined): NoticeDocument
}

export interface NoticeBody {
  readonly text: string
  /** What the text is written in. */
  readonly info: string
}

/** Fewer characters of a longer text say nothing. */
const LEAST_SHOWN = 40

export function createDocumentWriter(): DocumentWriter {
  let markdown = ''
  let hiddenChars = 0
  const bodies: { from: number; to: number }[] = []
  const heads: number[] = []

  const line = (text: string): void => {
    markdown += markdown === '' ? text : `\n${text}`
  }

  return {
    head(text) {
      heads.push(markdown === '' ? 0 : markdown.length + 1)
      line(text)
    },
    line,
    body({ text, info }, maxChars) {
      const shown = text.length > maxChars && maxChars < LEAST_SHOWN ? '' : beginningOf(text, maxChars)
      hiddenChars += text.length - shown.length
      if (shown === '') return
      const fence = fenceFor(shown)
      line(`${fence}${info}\n`)
      bodies.push({ from: markdown.length, to: markdown.length + shown.length })
      markdown += `${shown}${shown.endsWith('\n') ? '' : '\n'}${fence}`
    },
    end: (task) => ({ markdown, bodies, heads, hiddenChars, task }),
  }
}

/** The text of a template. */
export function toDocument(
  markdown: string,
  { maxChars, task }: { readonly maxChars: number; readonly task: string | undefined },
): NoticeDocument {
  const shown = beginningOf(markdown, maxChars)
  const bodies = [{ from: 0, to: shown.length }]
  return { markdown: shown, bodies, heads: [], hiddenChars: markdown.length - shown.length, task }
}
