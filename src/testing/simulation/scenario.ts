/** What is simulated: tools, the settings of the processes that have them, and the calls that people make. */
import type { SettingsOptions } from '../../options.ts'
import type { SpawnCall } from '../../ports/task-handle.ts'
import type { AnyToolDefinition } from '../../ports/tool.ts'
import type { Random } from './random.ts'

/** The process that a tool runs in. Whatever a tool waits for, it waits for here, so that it stops with its process. */
export interface SimulatedProcess {
  /** `n1`, `n2`, …: the same after a restart. */
  readonly name: string
  /** Resolves after so long on the clock of the simulation, unless the process is gone. */
  sleep(ms: number): Promise<void>
  /** In [0, 1), drawn from the seed. */
  random01(): number
}

/** A call as it is kept in a plan: it has to be JSON. */
export interface SimulatedCall {
  /** The name of a tool of the scenario. */
  readonly tool: string
  readonly input?: unknown
  readonly options?: Omit<SpawnCall, 'signal'>
}

export interface Scenario {
  /** The settings of every process. Short times make long stories. */
  readonly settings?: SettingsOptions
  /** The tools of a process. Called for each process when it starts, as a program is loaded. */
  tools(process: SimulatedProcess): readonly AnyToolDefinition[]
  /** The next call that somebody makes. */
  drawCall(random: Random): SimulatedCall
  /** Simpler calls than this one, the simplest first: what is tried when a failure is shortened. @defaultValue none */
  simplify?(call: SimulatedCall): readonly SimulatedCall[]
  /** The answer to a question. @defaultValue `true` */
  readonly answer?: unknown
  /** How long everything may take to end once nothing goes wrong any more, in milliseconds. @defaultValue 600 000 */
  readonly settleMs?: number
}
