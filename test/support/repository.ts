/** Where the project's own files are, for tests that read them. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url)).replace(/[/\\]$/, '')

/** A folder for what tests write; no tool reads it and git ignores it. */
export const SCRATCH = join(REPOSITORY, 'test/.tmp')

/** All files below a folder that end in `suffix`, in order, relative to the root of the repository. */
export function listFiles(folder: string, suffix: string): string[] {
  return readdirSync(join(REPOSITORY, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(REPOSITORY.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort()
}
