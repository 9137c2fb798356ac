/** What one process may ask another one to do to a task. It travels as JSON. */
import type { OnParentEnd } from '../../../machines/policies/lineage.ts'
import type { StopCause } from '../../../machines/vocabulary.ts'
import type { MessageSender, QuestionMessage } from '../../ports/message.ts'

/** What the process of a child asks that of the parent. */
export interface Adoption {
  readonly childId: string
  readonly tool: string
  readonly onParentEnd: OnParentEnd
}

export type TaskOrder =
  | { readonly verb: 'cancel'; readonly cause: StopCause }
  /** All that the owner of the task has here, or all of one run; nothing starts under that run any more. */
  | { readonly verb: 'cancelAll'; readonly cause: StopCause; readonly runId?: string }
  | { readonly verb: 'redirect'; readonly target: string }
  | { readonly verb: 'send'; readonly message: unknown; readonly from: MessageSender }
  | { readonly verb: 'answer'; readonly key: string; readonly value: unknown; readonly actor: string }
  /** The parent is asked by a child. */
  | { readonly verb: 'ask'; readonly question: QuestionMessage }
  | { readonly verb: 'background' }
  | ({ readonly verb: 'adopt' } & Adoption)
  | { readonly verb: 'disown'; readonly childId: string }
