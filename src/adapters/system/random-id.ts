import { nanoid } from 'nanoid'
import type { IdSource } from '../../ports/id-source.ts'

/** 22 characters of 6 random bits each. */
const ID_CHARS = 22

export const randomId: IdSource = () => {
  const id = nanoid(ID_CHARS)
  // It is put together a character at a time, and V8 keeps the pieces, 320 bytes, until one character is asked for.
  id.charCodeAt(0)
  return id
}
