/** What is in a folder: plain files and folders. Links are not followed, and sockets, pipes and devices are left out. */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface ListedFile {
  readonly path: string
  readonly bytes: number
}

export interface Listing {
  readonly files: readonly ListedFile[]
  readonly folders: readonly string[]
  /** What is there and cannot be read. */
  readonly unreadable: readonly string[]
}

export async function listFolder(folder: string, skip: readonly string[]): Promise<Listing> {
  const files: ListedFile[] = []
  const folders: string[] = []
  const unreadable: string[] = []
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => {
    unreadable.push(folder)
    return []
  })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (!skip.includes(entry.name)) folders.push(path)
    } else if (entry.isFile()) {
      const stats = await lstat(path).catch(() => undefined)
      if (stats?.isFile() === true) files.push({ path, bytes: stats.size })
      else unreadable.push(path)
    }
  }
  return { files, folders, unreadable }
}

/** All files below a folder, at most `limit`. */
export async function listTree(
  folder: string,
  { skip, limit, signal }: { readonly skip: readonly string[]; readonly limit: number; readonly signal: AbortSignal },
): Promise<ListedFile[]> {
  const found: ListedFile[] = []
  const folders = [folder]
  for (let next = folders.pop(); next !== undefined && found.length < limit; next = folders.pop()) {
    signal.throwIfAborted()
    const listing = await listFolder(next, skip)
    found.push(...listing.files)
    folders.push(...listing.folders)
  }
  return found.slice(0, limit)
}
