import { random, urlAlphabet } from 'nanoid'
import type { IdSource } from '../../ports/id-source.ts'

/** 22 characters of 6 random bits each. */
const ID_CHARS = 22
/** A few ids at a time: nanoid draws its random bytes for 128 batches in advance. */
const BATCH_CHARS = 16 * ID_CHARS

const codes = Uint8Array.from(urlAlphabet, (char) => char.charCodeAt(0))
const batch = Buffer.alloc(BATCH_CHARS)
let taken = BATCH_CHARS

const fillBatch = (): void => {
  const bytes = random(BATCH_CHARS)
  for (let index = 0; index < BATCH_CHARS; index += 1) batch[index] = codes[(bytes[index] ?? 0) & 63] ?? 0
  taken = 0
}

/**
 * Ids in nanoid's alphabet. They are decoded from a batch, so that each is one flat string: put together a character at a
 * time, V8 makes a string of each of its beginnings.
 */
export const randomId: IdSource = () => {
  if (taken === BATCH_CHARS) fillBatch()
  taken += ID_CHARS
  return batch.toString('latin1', taken - ID_CHARS, taken)
}
