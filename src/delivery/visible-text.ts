/**
 * Texts of others as people may see them: nothing in them formats, pings or moves a cursor.
 *
 * Inside a fence only control characters are changed, so that what is copied from there is what was sent; that nobody is
 * pinged from inside is up to the channel, which knows what its platform does there.
 */
import { beginningOf } from './split-text.ts'

const MAX_NAME_CHARS = 80
/** A fence is one longer than the longest run in it, and has to fit into small messages. */
const MAX_RUN = 16
const LONG_RUN = /`{17,}/g
/** Looks like a backtick and is none. */
const NO_BACKTICK = '\u02cb'
const ZERO_WIDTH_SPACE = '\u200b'

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|[\ud800-\udfff]/gu
const LINE_BREAK = /\r\n?/g
/** Characters that are not seen, or turn the direction of what follows them. */
const UNSEEN = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/gu

/** A text to stand in a fence: control characters show as pictures, and the lines end as lines do here. */
export function visibleBody(text: string): string {
  return text
    .replace(LINE_BREAK, '\n')
    .replace(CONTROL, pictureOf)
    .replace(LONG_RUN, (run) => run.slice(0, MAX_RUN) + NO_BACKTICK.repeat(run.length - MAX_RUN))
}

/** A name as inline code in one line. No `@everyone`, `<!channel>` or `<@id>` in it is one any more. */
export function visibleName(text: string): string {
  const plain = text.replace(/\s+/gu, ' ').replace(CONTROL, '').replace(UNSEEN, '').replaceAll('`', "'").trim()
  const short = beginningOf(plain, MAX_NAME_CHARS)
  const shown = short === '' ? 'unnamed' : short.length < plain.length ? `${short}…` : short
  return `\`${shown.replace(/[@<]/g, `$&${ZERO_WIDTH_SPACE}`)}\``
}

function pictureOf(character: string): string {
  const code = character.charCodeAt(0)
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  return code === 0x7f ? '\u2421' : '\ufffd'
}
