/**
 * What tasks ask and others answer.
 *
 * asked: the task waits, its caller has a ticket, its running time stands still.
 * settled: by the first answer that fits, or by its time: then its default is taken, or its code gets an error. With the
 * last open one the task runs on.
 * ended: the code has ended or was stopped; what was open is closed and answered by nobody.
 *
 * 1. A question is settled once, and whoever asked hears of it once. What comes later is refused with its reason.
 * 2. A refused answer changes nothing: the question stays open.
 * 3. No question outlives the code that asked it.
 * 4. A key is used once in a task, whatever became of its question.
 */
import { decideAsk, decideSettlement, type AskRefusal, type ClosedReason } from '../../machines/policies/questions.ts'
import type { TaskChartEventType } from '../../machines/vocabulary.ts'
import { messageOf, TaskError, TaskStoppedError } from '../errors.ts'
import { badOption, checkChoice, checkDuration, checkOptionNames, checkText, quote } from '../options.ts'
import type { Clock } from '../ports/clock.ts'
import type { Deadlines } from '../ports/deadlines.ts'
import type { QuestionMessage } from '../ports/message.ts'
import type { TaskEventData } from '../ports/task-event.ts'
import type { OpenQuestion } from '../ports/task-record.ts'
import { checkSchema, fitTo, toJsonSchema } from '../schema.ts'
import type { Callers } from './callers.ts'
import type { Inboxes } from './messages/inboxes.ts'
import type { Journal } from './journal/journal.ts'
import { decodeFrozen, encodeJson } from './values/json.ts'
import { rareOf, type LiveQuestion, type LiveTask, type Questions } from './live-task.ts'
import { hasEnded, isAttached, isStopping, parentOf, workOf } from './task-state.ts'
import { senderOf, toQuestionMessage } from './messages/question-message.ts'

const ANSWER_WITHIN_MS = 24 * 60 * 60_000
const LIMITS = { maxOpen: 32, maxAsked: 256 }
const MAX_KEY_CHARS = 128
const MAX_QUESTION_BYTES = 4 * 1024
const MAX_SCHEMA_BYTES = 4 * 1024
const MAX_ANSWER_BYTES = 64 * 1024
/** A longer answer reaches the code, and is left out of the log. */
const MAX_LOGGED_ANSWER_BYTES = 4 * 1024

/** Somebody's answer, as it came. */
export interface GivenAnswer {
  readonly key: unknown
  readonly value: unknown
  /** Who gives it: an owner, or the id of a task. */
  readonly actor: string
}

export interface QuestionDesk {
  /**
   * Resolves with the answer.
   * @throws TypeError, `input_invalid`, `not_allowed`, `question_closed`, `task_stopped`, `task_final`
   */
  ask(task: LiveTask, key: unknown, question: unknown, options: unknown): Promise<unknown>
  /** Resolves once the answer is accepted and kept. @throws `input_invalid`, `question_closed`, `task_final` */
  answer(task: LiveTask, given: GivenAnswer): Promise<void>
  /** Tells the owner of what is open and was meant for the parent: the code of that has ended. */
  passOn(child: LiveTask): void
  /** Closes what is open, because the code has ended or is stopped. */
  close(task: LiveTask): void
}

/** A question, checked. */
interface Asked {
  readonly key: string
  readonly question: unknown
  readonly answerWithinMs: number
  readonly hint: OpenQuestion['schema']
  readonly schema: LiveQuestion['schema']
  readonly fallback: LiveQuestion['fallback']
  readonly isForParent: boolean
}

/** An answer as JSON: `value` may be changed by whoever gets it, `kept` by nobody. */
interface CopiedAnswer {
  readonly value: unknown
  readonly kept: { readonly answer?: unknown }
}

export function createQuestionDesk(parts: {
  readonly clock: Clock
  readonly deadlines: Deadlines
  readonly journal: Journal
  readonly callers: Callers
  readonly inboxes: Inboxes
  /** Puts a question on the owner's desk. */
  readonly tellOwner: (owner: string, message: QuestionMessage, bytes: number) => void
  readonly send: (task: LiveTask, type: TaskChartEventType) => void
  /** The task rests from now on, and goes on. */
  readonly rest: (task: LiveTask) => void
  readonly goOn: (task: LiveTask) => void
  /** Works on the end of a task's code, if that waits for its turn: it came before whatever comes now. */
  readonly takeUpEnd: (task: LiveTask) => void
}): QuestionDesk {
  const { clock, deadlines, journal, callers, inboxes, send } = parts

  const open = (task: LiveTask, asked: Asked, settle: Pick<LiveQuestion, 'resolve' | 'reject'>): void => {
    const questions = questionsOf(task)
    const { key } = asked
    const before = takeCarried(task, key)
    const askedAt = before?.askedAt ?? clock.now()
    const answerBy = before?.answerBy ?? askedAt + asked.answerWithinMs
    const shown: OpenQuestion = Object.freeze({
      key,
      question: asked.question,
      askedAt,
      answerBy,
      hasDefault: asked.fallback !== undefined,
      ...(asked.hint === undefined ? {} : { schema: asked.hint }),
    })
    const { schema, fallback } = asked
    const parent = parentOf(task)
    const isForParent = asked.isForParent && parent !== undefined && !hasEnded(parent)
    const question: LiveQuestion = {
      task,
      shown,
      schema,
      fallback,
      ...settle,
      patience: undefined,
      isForParent,
      checking: new Set(),
    }
    questions.states.set(key, 'open')
    questions.open.set(key, question)
    question.patience = deadlines.after(Math.max(0, answerBy - clock.now()), expire, question)
    journal.promote(task)
    const hasCaller = isAttached(task)
    const wasRunning = workOf(task) === 'running'
    send(task, 'question.asked')
    if (wasRunning) parts.rest(task)
    const to = isForParent ? ({ to: 'parent' } as const) : {}
    const data = { key, question: asked.question, answerBy, ...to }
    if (!hasCaller) journal.append(task, 'task.asked', data)
    else {
      // Both in one commit: nobody hears of the ticket before the question.
      journal.appendSoon(task, 'task.asked', data)
      callers.giveTickets(task, 'question')
    }
    if (isForParent) tellParent(parent, question)
  }

  const tellParent = (parent: LiveTask, question: LiveQuestion): void => {
    if (!isOpen(question)) return
    try {
      inboxes.put(parent, toLetter(question))
    } catch {
      // Its inbox is full, or its code has ended on hearing of the question.
      tellOwner(question)
    }
  }

  const tellOwner = (question: LiveQuestion): void => {
    question.isForParent = false
    const { message, bytes } = toLetter(question)
    parts.tellOwner(question.task.spec.owner, message, bytes)
  }

  /** Takes a question out of the open ones. @throws `question_closed`, `task_final` */
  const settle = ({ task, shown: { key }, patience }: LiveQuestion, state: 'answered' | 'timeout'): void => {
    const { open, states } = questionsOf(task)
    const settlement = decideSettlement({ state: states.get(key), openCount: open.size })
    if ('refused' in settlement) throw closedError(task, key, settlement.refused)
    states.set(key, state)
    open.delete(key)
    patience?.disarm()
    send(task, settlement.event)
    if (settlement.event === 'questions.settled') parts.goOn(task)
  }

  const tell = (question: LiveQuestion, data: TaskEventData['task.answered']): void => {
    const { task, checking } = question
    journal.append(task, 'task.answered', data)
    if (questionsOf(task).open.size === 0) journal.append(task, 'task.resumed', {})
    const refusal = closedError(task, data.key, data.by === 'answer' ? 'answered' : 'timeout')
    for (const refuse of checking) refuse(refusal)
  }

  /** The time of a question is over. */
  const expire = (question: LiveQuestion): void => {
    const { task, fallback, shown } = question
    const { key } = shown
    parts.takeUpEnd(task)
    if (!isOpen(question)) return
    settle(question, 'timeout')
    if (fallback === undefined) {
      tell(question, { key, by: 'timeout' })
      question.reject(closedError(task, key, 'timeout'))
    } else {
      tell(question, { key, by: 'default', ...loggedDefault(fallback.value) })
      question.resolve(fallback.value)
    }
  }

  return {
    ask(task, key, question, options) {
      let asked: Asked
      try {
        asked = toAsked(key, question, options)
        refuseUnlessRunning(task)
        refuseUnlessAllowed(task, asked.key)
      } catch (error) {
        return Promise.reject(error as Error)
      }
      const answer = new Promise<unknown>((resolve, reject) => open(task, asked, { resolve, reject }))
      // Code that ends without having waited for its answer is told nothing: that is no rejection nobody handles.
      answer.catch(() => undefined)
      return answer
    },

    async answer(task, { key: givenKey, value, actor }) {
      const key = checkText('key', givenKey, MAX_KEY_CHARS)
      const question = requireOpen(task, key)
      const copied = copyAnswer(key, value)
      const fitted = fit(question, copied.value)
      const answer = fitted instanceof Promise ? await whileOpen(question, fitted) : fitted.value
      // The check took its time, or did something to the task.
      parts.takeUpEnd(task)
      settle(question, 'answered')
      tell(question, { key, by: 'answer', ...copied.kept, actor })
      question.resolve(answer)
      await new Promise<void>((resolve) => journal.whenKnown(task, () => resolve()))
    },

    passOn(child) {
      for (const question of child.rare?.questions?.open.values() ?? NONE) if (question.isForParent) tellOwner(question)
    },

    close(task) {
      const questions = task.rare?.questions
      if (questions === undefined || questions.open.size === 0) return
      const closing = [...questions.open.values()]
      questions.open.clear()
      for (const question of closing) {
        const { key } = question.shown
        questions.states.set(key, 'ended')
        question.patience?.disarm()
        const error = closedError(task, key, 'ended')
        question.reject(task.cause === undefined ? error : new TaskStoppedError(task.taskId, task.cause))
        for (const refuse of question.checking) refuse(error)
      }
    },
  }
}

const NONE: readonly never[] = Object.freeze([])

function isOpen({ task, shown }: LiveQuestion): boolean {
  return task.rare?.questions?.states.get(shown.key) === 'open'
}

/** A question on its way to whoever may answer. It weighs what was asked. */
function toLetter({ task, shown }: LiveQuestion): { readonly message: QuestionMessage; readonly bytes: number } {
  const message = toQuestionMessage(senderOf(task.taskId, task.spec.name), shown)
  return { message, bytes: Buffer.byteLength(JSON.stringify(message.payload)) }
}

/** A question that was open when another process of the task was lost is the same one when it is asked again. */
function takeCarried(task: LiveTask, key: string): OpenQuestion | undefined {
  const carried = task.rare?.recovery?.carried
  const question = carried?.get(key)
  if (question !== undefined) carried?.delete(key)
  return question
}

function questionsOf(task: LiveTask): Questions {
  const rare = rareOf(task)
  return (rare.questions ??= { open: new Map(), states: new Map() })
}

function toAsked(key: unknown, question: unknown, options: unknown): Asked {
  const checkedKey = checkText('key', key, MAX_KEY_CHARS)
  const given = checkOptionNames('options', options, ['schema', 'answerWithinMs', 'default', 'to'])
  const { schema: givenSchema, answerWithinMs, default: fallback, to } = given
  const schema = givenSchema === undefined ? undefined : checkSchema('schema', givenSchema)
  if (question === undefined) throw badOption('question', 'a text or another value that is JSON', question)
  const encoded = encodeJson(question, MAX_QUESTION_BYTES)
  if (encoded.kind !== 'json') {
    throw new TaskError('input_invalid', `The question ${quote(checkedKey)} cannot be kept: ${whyNot(encoded)}.`)
  }
  return {
    key: checkedKey,
    question: decodeFrozen(encoded.json),
    answerWithinMs: answerWithinMs === undefined ? ANSWER_WITHIN_MS : checkDuration('answerWithinMs', answerWithinMs),
    hint: schema === undefined ? undefined : toHint(toJsonSchema(schema)),
    schema,
    fallback: fallback === undefined ? undefined : { value: fallback },
    isForParent: to !== undefined && checkChoice('to', to, ['parent', 'owner']) === 'parent',
  }
}

/** A hint that is too long or no JSON is none. */
function toHint(jsonSchema: OpenQuestion['schema']): OpenQuestion['schema'] {
  const encoded = encodeJson(jsonSchema, MAX_SCHEMA_BYTES)
  return encoded.kind === 'json' ? (decodeFrozen(encoded.json) as OpenQuestion['schema']) : undefined
}

/** Only code that runs may ask. */
function refuseUnlessRunning(task: LiveTask): void {
  const { taskId, cause } = task
  if (task.finalStatus !== undefined) throw new TaskError('task_final', 'The task has ended.', { taskId })
  if (cause !== undefined && isStopping(task)) throw new TaskStoppedError(taskId, cause)
  const work = workOf(task)
  const isRunning = (work === 'running' || work === 'waiting') && task.outcome === undefined
  if (!isRunning) throw new TaskError('not_allowed', 'Only code that has not ended can ask.', { taskId })
}

const ASK_REFUSALS: Readonly<Record<AskRefusal, string>> = {
  key_used: 'The task has asked with this key before; a key is used once.',
  too_many_open: `A task may have ${LIMITS.maxOpen} open questions.`,
  too_many_asked: `A task may ask ${LIMITS.maxAsked} questions.`,
}

function refuseUnlessAllowed(task: LiveTask, key: string): void {
  const questions = task.rare?.questions
  const refusal = decideAsk(LIMITS, {
    state: questions?.states.get(key),
    openCount: questions?.open.size ?? 0,
    askedCount: questions?.states.size ?? 0,
  })
  if (refusal === undefined) return
  throw new TaskError('not_allowed', ASK_REFUSALS[refusal], { taskId: task.taskId, details: { key } })
}

/** @throws `question_closed`, `task_final` */
function requireOpen(task: LiveTask, key: string): LiveQuestion {
  const questions = task.rare?.questions
  const question = questions?.open.get(key)
  if (question !== undefined) return question
  const settlement = decideSettlement({ state: questions?.states.get(key), openCount: 0 })
  throw closedError(task, key, 'refused' in settlement ? settlement.refused : 'unknown')
}

const CLOSED_MESSAGES: Readonly<Record<ClosedReason, string>> = {
  answered: 'The question has its answer.',
  timeout: 'The time of the question is over.',
  ended: 'The code that asked the question has ended or was stopped.',
  unknown: 'The task has asked no question with this key.',
}

/** Why a question has no answer, or takes none. */
function closedError({ taskId, finalStatus }: LiveTask, key: string, reason: ClosedReason): TaskError {
  if (finalStatus !== undefined) return new TaskError('task_final', 'The task has ended.', { taskId })
  return new TaskError('question_closed', CLOSED_MESSAGES[reason], { taskId, details: { key, reason } })
}

function copyAnswer(key: string, value: unknown): CopiedAnswer {
  const encoded = encodeJson(value, MAX_ANSWER_BYTES)
  if (encoded.kind !== 'json') {
    throw new TaskError('input_invalid', `The answer to ${quote(key)} cannot be kept: ${whyNot(encoded)}.`)
  }
  const { json, bytes } = encoded
  if (json === undefined) return { value: undefined, kept: {} }
  return {
    value: JSON.parse(json) as unknown,
    kept: bytes > MAX_LOGGED_ANSWER_BYTES ? {} : { answer: decodeFrozen(json) },
  }
}

/** The code gets its default as it is; the log has it where it can be kept. */
function loggedDefault(value: unknown): { readonly answer?: unknown } {
  const encoded = encodeJson(value, MAX_LOGGED_ANSWER_BYTES)
  return encoded.kind === 'json' && encoded.json !== undefined ? { answer: decodeFrozen(encoded.json) } : {}
}

function whyNot(encoded: Exclude<ReturnType<typeof encodeJson>, { kind: 'json' }>): string {
  return encoded.kind === 'refused' ? encoded.why : `it has at least ${encoded.atLeastBytes} bytes`
}

type Fitted = ReturnType<typeof fitTo>

/** @throws `input_invalid` */
function fit({ schema, shown }: LiveQuestion, value: unknown): Fitted {
  if (schema === undefined) return { value }
  try {
    return fitTo(schema, value, `The answer does not fit ${quote(shown.key)}`)
  } catch (thrown) {
    throw toRefusal(shown.key, thrown)
  }
}

/** What comes of a check, unless its question closes before. @throws `input_invalid`, `question_closed`, `task_final` */
function whileOpen({ shown, checking }: LiveQuestion, verdict: Promise<{ readonly value: unknown }>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    checking.add(reject)
    verdict.then(
      ({ value }) => {
        checking.delete(reject)
        resolve(value)
      },
      (thrown: unknown) => {
        checking.delete(reject)
        reject(toRefusal(shown.key, thrown))
      },
    )
  })
}

/** What a schema threw, as a refusal of the answer. */
function toRefusal(key: string, thrown: unknown): TaskError {
  if (thrown instanceof TaskError) return thrown
  const message = `The answer to ${quote(key)} could not be checked: ${messageOf(thrown)}`
  return new TaskError('input_invalid', message, { cause: thrown })
}
