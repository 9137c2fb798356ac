import { spawn } from 'node:child_process'

/**
 * Ends a process with this one, however this one ends: one that stands still does not hear that its starter is gone, but
 * somebody beside it does. Gives the undo, for when it has ended by itself.
 */
export function guardProcess(pid: number): () => void {
  const guard = spawn('sh', ['-c', 'trap "" INT TERM HUP; cat >/dev/null; kill -9 $1', 'guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  return () => void guard.kill('SIGKILL')
}
