/** What asking and settling do to the questions of one task. */
import type { TaskChartEventType } from '../vocabulary.ts'

/** A question is open, or it has an answer, or its time was over, or its task went on without it. */
export type QuestionState = 'open' | 'answered' | 'timeout' | 'ended'

/** How many questions one task may ask. */
export interface QuestionLimits {
  readonly maxOpen: number
  /** Open or not: their keys are never used again, so all are remembered. */
  readonly maxAsked: number
}

/** The questions of a task when one more is to be asked. */
export interface QuestionCounts {
  /** What became of the question with this key; absent when there was none. */
  readonly state: QuestionState | undefined
  readonly openCount: number
  readonly askedCount: number
}

export type AskRefusal = 'key_used' | 'too_many_open' | 'too_many_asked'

/** Why a question cannot be asked, or nothing. */
export function decideAsk(limits: QuestionLimits, counts: QuestionCounts): AskRefusal | undefined {
  if (counts.state !== undefined) return 'key_used'
  if (counts.openCount >= limits.maxOpen) return 'too_many_open'
  return counts.askedCount >= limits.maxAsked ? 'too_many_asked' : undefined
}

/** Why nothing can be done about a question any more. */
export type ClosedReason = Exclude<QuestionState, 'open'> | 'unknown'

export type Settlement =
  | { readonly event: Extract<TaskChartEventType, 'question.answered' | 'questions.settled'> }
  | { readonly refused: ClosedReason }

/** What settling a question, by an answer or by its time, does. The first settles it and nothing after that. */
export function decideSettlement(question: {
  readonly state: QuestionState | undefined
  /** Questions of the task that are open, this one among them. */
  readonly openCount: number
}): Settlement {
  const { state, openCount } = question
  if (state !== 'open') return { refused: state ?? 'unknown' }
  return { event: openCount > 1 ? 'question.answered' : 'questions.settled' }
}
