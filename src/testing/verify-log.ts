/**
 * The laws of a log of events. A log is what one consumer saw, in its order; it may hold the events of many tasks.
 *
 * 1. The sequence numbers of a task are gapless from its first event on, apart from gaps that were announced.
 * 2. A task has at most one terminal event, and nothing of it follows. A complete log has one of every task.
 * 3. A task's log begins with `task.queued` as number 1, unless the log is declared partial.
 * 4. A parent's terminal event comes after those of the children it owns, and so does the end of each attempt of it. A child
 *    that may go on after its parent says so in `task.queued` (`onParentEnd: 'detach'`). A child whose parent runs in another
 *    process says that as well (`parent: 'elsewhere'`): once the parent has stopped it, it may outlive the grace of that.
 * 5. While a task is stopping or retrying, and once it is final, nothing below it starts, but for what a stop has yet to reach in
 *    another process.
 * 6. A task lies one deeper than its parent and in the same tree.
 * 7. `epoch` does not go back. Attempts start in the order of their numbers, from 1 without a hole, and `task.retrying`
 *    names the one that started last.
 * 8. From `task.retrying` to the next `task.started` none of the task's code runs: it reports nothing, and all it can become
 *    is failed or cancelled.
 * 9. A question is settled once and after it was asked, and `task.resumed` follows the last one. Its key is asked once; one
 *    that was open when the process of its task was lost is asked again.
 */
import {
  isFinalEventType,
  isFreshEventType,
  isTaskEvent,
  type StreamItem,
  type TaskEvent,
} from '../ports/task-event.ts'

export interface LawBreach {
  /** The number of the law, as in the list of this file. */
  readonly law: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9
  readonly taskId: string
  readonly message: string
}

export interface VerifyOptions {
  /** Every task in the log has ended in it. @defaultValue true */
  readonly isComplete?: boolean
  /** The log may begin in the middle of a task. @defaultValue false */
  readonly isPartial?: boolean
  /**
   * Events of different tasks may be told in another order than they happened in, as where some commits fail and others do
   * not: law 5, and law 4 for the ends of attempts, are not asked for.
   * @defaultValue false
   */
  readonly isReordered?: boolean
}

interface Seen {
  readonly taskId: string
  readonly parentId: string | undefined
  readonly rootId: string
  readonly depth: number
  /**
   * Ends before its parent does. Laws 4 and 5 end at one that may go on, at one whose beginning the log does not have, and at one
   * that a parent in another process has stopped.
   */
  isOwned: boolean
  /** Its parent runs in another process, and so its stop comes from there. */
  readonly isElsewhere: boolean
  /** It is stopped also when its parent has succeeded. */
  readonly isStoppedAtEnd: boolean
  lastSeq: number
  epoch: number
  attempt: number
  state: 'live' | 'stopping' | 'retrying' | 'final'
  /** How it stands with the question of a key; absent as long as nothing was asked. */
  questions?: Map<string, 'open' | 'settled' | 'lost'>
}

const NONE: readonly never[] = []

/** Checks a log while it grows. */
export interface LogVerifier {
  /** The next item of the log. Gives the laws that it breaks. */
  see(item: StreamItem): readonly LawBreach[]
  /** The log ends here. Gives what it lacks, if it is to be complete. */
  end(): readonly LawBreach[]
}

/** Every breach of a law, in the order of the log. An empty answer means that the log is sound. */
export function verifyLog(items: readonly StreamItem[], options: VerifyOptions = {}): LawBreach[] {
  const verifier = createLogVerifier(options)
  return [...items.flatMap((item) => verifier.see(item)), ...verifier.end()]
}

/**
 * Checks a log item by item: for what goes on, and for logs that are too long to be held.
 *
 * @example
 * ```ts
 * import { createTaskSupervisor } from 'outlive'
 * import { createLogVerifier } from 'outlive/testing'
 *
 * const tasks = createTaskSupervisor()
 * const verifier = createLogVerifier()
 * const task = await tasks.spawn(async (n: number) => n + 1, 41)
 * for await (const item of task.events()) for (const { law, message } of verifier.see(item)) console.error(law, message)
 * console.log(verifier.end()) // []
 * await tasks.shutdown()
 * ```
 */
export function createLogVerifier(options: VerifyOptions = {}): LogVerifier {
  const { isComplete = true, isPartial = false, isReordered = false } = options
  const tasks = new Map<string, Seen>()
  const childrenOf = new Map<string, Seen[]>()
  let breaches: LawBreach[] = []
  let hasAnnouncedGap = false

  const report = (law: LawBreach['law'], { taskId }: { readonly taskId: string }, message: string): void => {
    breaches.push({ law, taskId, message })
  }

  /** The parent does not wait for it for longer than its grace. */
  const leave = (child: Seen): void => {
    if (child.isElsewhere) child.isOwned = false
  }

  const meet = (event: TaskEvent): Seen => {
    const seen: Seen = {
      taskId: event.taskId,
      parentId: event.parentId,
      rootId: event.rootId,
      depth: event.depth,
      lastSeq: event.seq,
      isOwned: event.type === 'task.queued' && event.onParentEnd !== 'detach',
      isElsewhere: event.type === 'task.queued' && event.parent === 'elsewhere',
      isStoppedAtEnd: event.type === 'task.queued' && event.onParentEnd === 'cancel',
      epoch: event.epoch,
      attempt: 0,
      state: 'live',
    }
    tasks.set(event.taskId, seen)
    if (event.parentId !== undefined) {
      const siblings = childrenOf.get(event.parentId)
      if (siblings === undefined) childrenOf.set(event.parentId, [seen])
      else siblings.push(seen)
    }
    if (!isPartial && !hasAnnouncedGap && (event.seq !== 1 || event.type !== 'task.queued')) {
      report(3, event, `the log begins with ${event.type} as number ${event.seq}`)
    }
    const parent = event.parentId === undefined ? undefined : tasks.get(event.parentId)
    if (parent !== undefined && parent.state !== 'live') leave(seen)
    if (parent !== undefined && (event.depth !== parent.depth + 1 || event.rootId !== parent.rootId)) {
      report(6, event, `depth ${event.depth} below a parent of depth ${parent.depth}`)
    }
    if (event.parentId === undefined && (event.depth !== 0 || event.rootId !== event.taskId)) {
      report(6, event, 'a root has depth 0 and its own id as the id of its tree')
    }
    return seen
  }

  const checkNumbers = (event: TaskEvent, seen: Seen): void => {
    if (event.seq !== seen.lastSeq + 1 && !(hasAnnouncedGap && event.seq > seen.lastSeq)) {
      report(1, event, `number ${event.seq} follows number ${seen.lastSeq}`)
    }
    if (event.epoch < seen.epoch) report(7, event, `epoch ${event.epoch} follows epoch ${seen.epoch}`)
    seen.lastSeq = event.seq
    seen.epoch = event.epoch
  }

  /** The nearest task at or above this one that nothing may start below any more. */
  const stoppedAbove = (seen: Seen): Seen | undefined => {
    let below = seen
    for (;;) {
      if (below.parentId === undefined || !below.isOwned || below.isElsewhere) return undefined
      const above = tasks.get(below.parentId)
      if (above === undefined) return undefined
      if (above.state !== 'live') return above
      below = above
    }
  }

  const checkStart = (event: Extract<TaskEvent, { type: 'task.started' }>, seen: Seen): void => {
    const stopped = isReordered ? undefined : stoppedAbove(seen)
    if (stopped !== undefined) report(5, event, `started below ${stopped.taskId}, which was ${stopped.state}`)
    const mayLackSome = hasAnnouncedGap || (isPartial && seen.attempt === 0)
    if (event.attempt !== seen.attempt + 1 && !(mayLackSome && event.attempt > seen.attempt)) {
      report(7, event, `attempt ${event.attempt} follows attempt ${seen.attempt}`)
    }
    seen.attempt = event.attempt
    seen.state = 'live'
  }

  const checkChildren = (event: TaskEvent, what: string): void => {
    for (const child of childrenOf.get(event.taskId) ?? NONE) {
      if (event.type === 'task.completed' && child.isStoppedAtEnd) leave(child)
      if (child.state !== 'final' && child.isOwned) report(4, event, `${what} before its child ${child.taskId}`)
    }
  }

  const noteStop = ({ taskId }: TaskEvent, seen: Seen): void => {
    seen.state = 'stopping'
    for (const child of childrenOf.get(taskId) ?? NONE) leave(child)
  }

  const checkRetry = (event: Extract<TaskEvent, { type: 'task.retrying' }>, seen: Seen): void => {
    const mayLackSome = hasAnnouncedGap || isPartial
    if (event.attempt !== seen.attempt && !(mayLackSome && event.attempt > seen.attempt)) {
      report(7, event, `the end of attempt ${event.attempt} follows the start of attempt ${seen.attempt}`)
    }
    if (!isReordered) checkChildren(event, 'its attempt ended')
    seen.attempt = event.attempt
    seen.state = 'retrying'
    if (event.failure.code === 'interrupted') loseQuestions(seen)
  }

  const loseQuestions = ({ questions }: Seen): void => {
    for (const [key, state] of questions ?? []) if (state === 'open') questions?.set(key, 'lost')
  }

  const checkQuestion = (
    event: Extract<TaskEvent, { type: 'task.asked' | 'task.answered' | 'task.resumed' }>,
    seen: Seen,
  ): void => {
    const questions = (seen.questions ??= new Map<string, 'open' | 'settled' | 'lost'>())
    if (event.type === 'task.resumed') {
      if ([...questions.values()].includes('open')) report(9, event, 'resumed with a question open')
    } else if (event.type === 'task.asked') {
      if ((questions.get(event.key) ?? 'lost') !== 'lost') report(9, event, `asked with the key ${event.key} again`)
      questions.set(event.key, 'open')
    } else {
      // A log that begins in the middle of a task may know no question of it.
      const state = questions.get(event.key) ?? (isPartial || hasAnnouncedGap ? 'open' : 'settled')
      if (state !== 'open') report(9, event, `the question ${event.key} is not open`)
      questions.set(event.key, 'settled')
    }
  }

  const checkEnd = (event: TaskEvent, seen: Seen): void => {
    checkChildren(event, 'ended')
    seen.state = 'final'
  }

  const take = (item: StreamItem): void => {
    if (!isTaskEvent(item)) {
      if (item.type === 'stream.gap') hasAnnouncedGap = true
      return
    }
    const known = tasks.get(item.taskId)
    const seen = known ?? meet(item)
    if (known !== undefined) checkNumbers(item, known)
    if (seen.state === 'retrying' && isSaidByCode(item)) report(8, item, `${item.type} between two attempts`)
    if (seen.state === 'final') report(2, item, `${item.type} follows the terminal event`)
    else if (item.type === 'task.started') checkStart(item, seen)
    else if (item.type === 'task.retrying') checkRetry(item, seen)
    else if (item.type === 'task.stopping') noteStop(item, seen)
    else if (item.type === 'task.asked' || item.type === 'task.answered' || item.type === 'task.resumed')
      checkQuestion(item, seen)
    else if (isFinalEventType(item.type)) checkEnd(item, seen)
  }

  const taken = (): readonly LawBreach[] => {
    if (breaches.length === 0) return NONE
    const found = breaches
    breaches = []
    return found
  }

  return {
    see(item) {
      take(item)
      return taken()
    },
    end() {
      for (const seen of isComplete ? tasks.values() : []) {
        if (seen.state !== 'final') report(2, seen, 'the log ends without its terminal event')
      }
      return taken()
    },
  }
}

/** Whether only code that runs, or has just run, brings such an event about. */
function isSaidByCode(event: TaskEvent): boolean {
  const { type } = event
  // What nobody has read bounces at the end, whether code runs then or not.
  if (event.type === 'task.message') return event.state === 'read'
  if (type === 'task.retrying' || type === 'task.stopping' || type === 'task.finishing') return true
  if (type === 'task.asked' || type === 'task.answered' || type === 'task.resumed') return true
  return type === 'task.completed' || isFreshEventType(type)
}
