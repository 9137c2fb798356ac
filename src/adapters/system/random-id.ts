import { nanoid } from 'nanoid'
import type { IdSource } from '../../ports/id-source.ts'

/** 22 characters of 6 random bits each. */
const ID_CHARS = 22

export const randomId: IdSource = () => nanoid(ID_CHARS)
