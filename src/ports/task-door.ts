/** The door that the code of running tasks goes through. */
import type { SendReceipt } from './message.ts'
import type { RunCall, RunOutcome, SpawnCall, TaskHandle } from './task-handle.ts'
import type { Tool } from './tool.ts'

/** A call on behalf of a running task. */
export interface DoorCall {
  readonly parentId: string
  readonly owner: string
  readonly tool: Tool<never, unknown>
  readonly input: unknown
}

/** What the code of a running task may ask for. The composition root puts the session behind it. */
export interface TaskDoor {
  run(call: DoorCall & { readonly options: RunCall | undefined }): Promise<RunOutcome<unknown>>
  /** @throws as `TaskContext.answer` */
  answer(answer: {
    readonly parentId: string
    readonly owner: string
    readonly childId: string
    readonly key: string
    readonly value: unknown
  }): Promise<void>
  /** @throws as `TaskContext.send` */
  send(message: { readonly taskId: string; readonly to: unknown; readonly message: unknown }): Promise<SendReceipt>
  spawn(call: DoorCall & { readonly options: SpawnCall | undefined }): Promise<TaskHandle>
}
