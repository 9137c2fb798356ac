/** What is simulated: tools, the settings of the processes that have them, and the calls that people make. */
import type { SettingsOptions } from '../../settings.ts'
import type { HistoryFact } from '../check-history.ts'
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
  /** Puts down that the tool has had an effect on the world, for the rules of the scenario. `data` has to be JSON. */
  effect(name: string, data?: unknown): void
}

/** Is given each fact of a run as it happens, the last of which is `counted`, and throws at the one that breaks the rule. */
export type ScenarioRule = (fact: HistoryFact) => void

/** A call as it is kept in a plan: it has to be JSON. */
export interface SimulatedCall {
  /** The name of a tool of the scenario. */
  readonly tool: string
  readonly input?: unknown
  readonly options?: Omit<SpawnCall, 'signal'>
}

/** How a test file gets at a scenario. */
export interface ScenarioSource {
  /** The line that imports it. */
  readonly import: string
  /** What stands for it after that line. */
  readonly expression: string
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
  /** Rules beside those of the library, by their names: each is made afresh for every run. @defaultValue none */
  readonly rules?: Readonly<Record<string, () => ScenarioRule>>
  /** The answer to a question. @defaultValue `true` */
  readonly answer?: unknown
  /** For the test file that repeats a run. @defaultValue `scenario` of `./scenario.ts` */
  readonly source?: ScenarioSource
  /** How long everything may take to end once nothing goes wrong any more, in milliseconds. @defaultValue 600 000 */
  readonly settleMs?: number
}
