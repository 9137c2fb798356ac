/** Processes that run tasks over a shared store, told what to do by a test: killed, stopped and continued at will. */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import type { WorkerCall, WorkerGiven, WorkerNote, WorkerReply, WorkerVerbs } from '../programs/worker.ts'
import { buildProgram } from './child-program.ts'
import { guardProcess } from './guard-process.ts'
import { SCRATCH } from './repository.ts'

export interface Worker {
  /** Rejects with the code of the error in its message, and when the process ends before the answer. */
  call<Verb extends keyof WorkerVerbs>(
    verb: Verb,
    ...args: Parameters<WorkerVerbs[Verb]>
  ): Promise<Awaited<ReturnType<WorkerVerbs[Verb]>>>
  readonly notes: readonly WorkerNote[]
  /** Resolves when so many notes are of that kind. Rejects when the process ends before. */
  whenNoted(kind: WorkerNote['kind'], count?: number): Promise<void>
  signal(name: NodeJS.Signals): void
  /** With the exit code and the signal that ended it. */
  readonly ended: Promise<{ readonly exitCode: number | null; readonly signal: string | null; readonly stderr: string }>
}

export type StartWorker = (given: Pick<WorkerGiven, 'place'> & Partial<WorkerGiven>) => Worker

/** Builds the program for the tests of a file. */
export function useWorkers(): StartWorker {
  const folder = join(SCRATCH, `worker-${process.pid}-${Math.random().toString(36).slice(2)}`)
  let program = ''
  beforeAll(() => {
    program = buildProgram(folder, 'test/programs/worker.ts')
  })
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })
  return ({ place, owner = 'ann', settings = {}, hookPort }) =>
    startWorker(program, { place, owner, settings, ...(hookPort === undefined ? {} : { hookPort }) })
}

function startWorker(program: string, given: WorkerGiven): Worker {
  const child = spawn(process.execPath, [program, JSON.stringify(given)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  const endGuard = guardProcess(child.pid ?? 0)
  onTestFinished(() => void child.kill('SIGKILL'))
  const notes: WorkerNote[] = []
  const unanswered = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  const listeners = new Set<() => void>()
  let calls = 0
  let hasEnded = false
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.on('message', (said: WorkerNote | WorkerReply) => {
    if (said.kind === 'reply' || said.kind === 'refusal') {
      const caller = unanswered.get(said.id)
      unanswered.delete(said.id)
      if (said.kind === 'reply') caller?.resolve(said.value)
      else caller?.reject(new Error(`${said.code}: ${said.message}`))
      return
    }
    notes.push(said)
    for (const listener of listeners) listener()
  })
  // A process that is gone takes no more calls.
  child.on('error', () => undefined)
  const ended = new Promise<Awaited<Worker['ended']>>((resolve) => {
    child.on('close', (exitCode, signal) => {
      hasEnded = true
      endGuard()
      for (const { reject } of unanswered.values()) reject(new Error(`the process has ended: ${stderr}`))
      for (const listener of listeners) listener()
      resolve({ exitCode, signal, stderr })
    })
  })
  return {
    notes,
    ended,
    signal: (name) => void child.kill(name),
    call: (verb, ...args) =>
      new Promise((resolve, reject) => {
        calls += 1
        unanswered.set(calls, { resolve: resolve as (value: unknown) => void, reject })
        const call: WorkerCall = { id: calls, verb, args }
        child.send(call)
      }),
    whenNoted: (kind, count = 1) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (notes.filter((note) => note.kind === kind).length >= count) resolve()
          else if (hasEnded) reject(new Error(`the process ended before: ${stderr}`))
          else return
          listeners.delete(look)
        }
        listeners.add(look)
        look()
      }),
  }
}
