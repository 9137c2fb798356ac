/** Optional packages of channels are loaded when the channel is made, and named when they are missing. */
import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

/** @throws `TypeError` when the package is not installed: nothing could ever be sent. */
export function requirePackage(npm: string, neededBy: string): unknown {
  try {
    return load(npm)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) throw error
    throw new TypeError(`${neededBy} needs the package ${npm}: npm install ${npm}`, { cause: error })
  }
}
