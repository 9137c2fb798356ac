/** All cases, in the order of the page. */
import type { Case, Effort } from './case.ts'
import { storeCases } from './store-cases.ts'
import { taskCases } from './task-cases.ts'
import { loopCases, treeCases } from './tree-cases.ts'
import { watcherCases } from './watcher-cases.ts'

export function allCases(effort: Effort): readonly Case[] {
  return [...taskCases(effort), ...watcherCases(effort), ...treeCases(effort), ...loopCases(), ...storeCases(effort)]
}
