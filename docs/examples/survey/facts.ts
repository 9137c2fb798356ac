/** What is said of a survey's tasks: in which words, and what is worth a line at all. */

/** Something worth a line. */
export interface Fact {
  readonly kind:
    | 'ending'
    | 'folder'
    | 'ticket'
    | 'collected'
    | 'redirected'
    | 'asked'
    | 'answered'
    | 'retrying'
    | 'message'
    | 'cancelled'
    | 'failed'
  readonly text: string
  /** How deep in the tree of tasks. */
  readonly depth: number
}

/** A sub-agent that has ended while its parent goes on. */
export interface EndedAgent {
  readonly parentId: string
  readonly label: string
  readonly status: 'completed' | 'failed' | 'cancelled'
}

const AGENTS = ['survey', 'folder', 'duplicates', 'compare']

export function isAgent(tool: string): boolean {
  return AGENTS.includes(tool)
}

/** What a person calls a task. */
export function labelOf(tool: string, description: string | undefined): string {
  if (tool === 'folder') return description ?? tool
  return description === undefined ? tool : `${tool} ${description}`
}
