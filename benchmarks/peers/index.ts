/** All that is compared, by the name that a side is started with. */
import { betterAll } from './better-all.ts'
import { effectFork, effectTimeout } from './effect.ts'
import { effection, effectionRace } from './effection.ts'
import { abortCascade, bare, floor } from './floor.ts'
import { mcpTaskStore } from './mcp-task-store.ts'
import { outlive, outliveEverything, outliveExplicit, outliveMachine } from './outlive.ts'
import { pQueue, pQueueTimeout } from './p-queue.ts'
import type { Peer } from './peer.ts'
import { xstateActors } from './xstate-actors.ts'
import { xstateSupervisor } from './xstate-supervisor.ts'

export const PEERS = {
  bare,
  floor,
  outlive,
  outliveExplicit,
  outliveMachine,
  outliveEverything,
  pQueue,
  pQueueTimeout,
  effectTimeout,
  effectFork,
  mcpTaskStore,
  betterAll,
  effection,
  effectionRace,
  xstateActors,
  xstateSupervisor,
  abortCascade,
} as const satisfies Readonly<Record<string, Peer>>

export type PeerName = keyof typeof PEERS

/** What can be asked of a peer without running anything. */
export function isPeerName(name: string): name is PeerName {
  return Object.hasOwn(PEERS, name)
}

/** What a user might look for here and does not find, and why. */
export const ABSENT = [
  {
    name: 'Mastra 1.71, background-task manager',
    why: 'not installed: every version of `@mastra/core` 1.x asks for Node 22.13 or newer, and this project supports Node 20',
  },
] as const
