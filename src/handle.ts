/** A task of record in the caller's hands. */
import type { Observable } from 'rxjs'
import type {
  CancelOptions,
  CancelReport,
  RunOutcome,
  StreamOptions,
  TaskHandle,
  Ticket,
  WaitOptions,
} from './ports/task-handle.ts'
import type { SendReceipt } from './ports/message.ts'
import type { StreamItem } from './ports/task-event.ts'
import type { TaskRecord } from './ports/task-record.ts'
import type { Session } from './ports/session.ts'
import { TaskNotFoundError } from './errors.ts'

/** A class, because a host may hold many: the verbs stand on the prototype, and all of them go through the session. */
class Handle implements TaskHandle {
  readonly taskId: string
  readonly #session: Session

  constructor(session: Session, taskId: string) {
    this.#session = session
    this.taskId = taskId
  }

  async record(): Promise<TaskRecord> {
    const record = await this.#session.get(this.taskId)
    if (record === undefined) throw new TaskNotFoundError()
    return record
  }

  result(options?: WaitOptions): Promise<unknown> {
    return this.#session.result(this.taskId, options)
  }

  wait(options?: WaitOptions): Promise<TaskRecord> {
    return this.#session.wait(this.taskId, options)
  }

  cancel(options?: CancelOptions): Promise<CancelReport> {
    return this.#session.cancel(this.taskId, options)
  }

  redirect(target: string, options?: { readonly again?: boolean }): Promise<void> {
    return this.#session.redirect(this.taskId, target, options)
  }

  answer(key: string, value: unknown): Promise<void> {
    return this.#session.answer(this.taskId, key, value)
  }

  send(message: unknown): Promise<SendReceipt> {
    return this.#session.send(this.taskId, message)
  }

  background(): Promise<Ticket> {
    return this.#session.background(this.taskId)
  }

  attach(options?: WaitOptions): Promise<RunOutcome<unknown>> {
    return this.#session.attach(this.taskId, options)
  }

  events(options?: StreamOptions): AsyncIterableIterator<StreamItem> {
    return this.#session.events(Object.assign({}, options, { taskId: this.taskId }))
  }

  get events$(): Observable<StreamItem> {
    return this.#session.events$({ taskId: this.taskId })
  }
}

export function createHandle(session: Session, taskId: string): TaskHandle {
  return new Handle(session, taskId)
}
