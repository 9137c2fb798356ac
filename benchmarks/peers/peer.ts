/** What a peer is to the benchmarks: the same work, written the way the peer's users would write it. */

/** What a peer hands to the work that it runs. */
export interface Given {
  readonly signal: AbortSignal
}

export type Work = (n: number, given?: Given) => Promise<number>

/** What a peer is to run, one work for all its calls. */
export interface Assignment {
  readonly work: Work
  /** Whether the work reads the signal: only then does it have to be given one. */
  readonly readsSignal: boolean
}

export interface OpenPeer {
  /** Runs the work with this number, and gives what it gave. A time limit is armed where the peer has one. */
  call(n: number): Promise<number>
  readonly background?: Background
  close(): unknown
}

/** Work that goes on by itself and is asked for later, by a key. */
export interface Background {
  start(n: number): unknown
  /** Resolves once it has ended. */
  ended(key: unknown): Promise<unknown>
  fetch(key: unknown): Promise<number>
}

/** A tree of tasks that never settle by themselves. */
export interface Tree {
  /** Stops the root, and with it all that is below. */
  cancel(): unknown
  /** How many of the nodes have stopped. */
  stopped(): number
  close?(): unknown
}

export interface Peer {
  readonly title: string
  /** What its trees are called, where another way of using it has them. */
  readonly treeTitle?: string
  /** Whose version is told. Absent: nothing is needed but Node. */
  readonly npm?: string
  /** What others do and this one does not. */
  readonly lacks?: string
  /** Absent: it gives its work no signal, and is not compared where work reads one. */
  readonly hasSignal?: true
  /** How many live tasks it is asked to bear, where a hundred thousand take minutes or gigabytes. */
  readonly maxLive?: number
  open(assignment: Assignment): OpenPeer | Promise<OpenPeer>
  /** `parents[n]` is the parent of the node `n`; the root is the node 0 and has none. */
  readonly plant?: (parents: readonly number[]) => Promise<Tree>
}

/** Far beyond what any call takes, also one that is held while others are timed. */
export const LIMIT_MS = 600_000
