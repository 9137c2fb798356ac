import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTaskSupervisor, defineTool } from 'outlive'
import { STORE_CONTRACT } from 'outlive/testing'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fileStore } from '../docs/examples/file-store.ts'

// The store in docs/examples, which shows how to write one.

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'file-store-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'tasks.jsonl')
}

describe('the store in a file', () => {
  test.each(STORE_CONTRACT)('$title', async ({ run }) => {
    await expect(run(() => fileStore(newFile()))).resolves.toBeUndefined()
  })

  test('keeps tasks past the end of the process, and recovers what did not end', async () => {
    const file = newFile()
    const again = defineTool({
      name: 'again',
      policy: { recovery: 'rerun' },
      run: (text: string, ctx) => (ctx.attempt === 1 ? new Promise<string>(() => undefined) : `${text} again`),
    })
    const before = createTaskSupervisor({ store: fileStore(file), tools: [again] })
    onTestFinished(async () => void (await before.shutdown({ graceMs: 1 })))
    const ann = before.session({ owner: 'ann' })
    const done = await ann.spawn((n: number) => n * 2, 21)
    expect(await done.result()).toBe(42)
    const lost = await ann.spawn(again, 'once')
    await expect.poll(async () => (await ann.get(lost.taskId))?.status).toBe('running')
    // What the file is if the process ends now, in the middle of a line.
    const left = newFile()
    copyFileSync(file, left)
    appendFileSync(left, '{"commit":{"id":"ha')
    const warnings: string[] = []
    const logger = { error: () => undefined, warn: (_fields: object, message: string) => void warnings.push(message) }
    const after = createTaskSupervisor({ store: fileStore(left), tools: [again], logger })
    await after.start()
    const reader = after.session({ owner: 'ann' })
    expect(await reader.result(done.taskId)).toBe(42)
    expect(await reader.result(lost.taskId)).toBe('once again')
    expect((await reader.get(done.taskId))?.persisted).toBe(true)
    expect(warnings).toEqual([expect.stringContaining('was not whole')])
    await after.shutdown()
    expect(readFileSync(left, 'utf8')).not.toContain('"ha{')
  })
})
