/** One numbered fact about a task. The log of these is its history. */
import type { Correlation, OnParentEnd } from '../../machines/policies/lineage.ts'
import type { FinalStatus, StopCause, TaskFailure } from '../../machines/vocabulary.ts'
import type { DeliveryEventData, DeliveryEventType, DeliveryKind } from './delivery.ts'
import type { MessageSender } from './message.ts'
import type { TaskProgress, TaskRecord, TaskUsage } from './task-record.ts'

/** What each type of event says, besides what all events say. */
export interface TaskEventData {
  /**
   * The task exists; its code has not been called. Always the first event. `onParentEnd` is there unless it is `wait`: with
   * `detach` the task may go on after its parent's end. `parent` is there when that runs in another process: its stop reaches
   * the task a moment later, and it waits for a task that it has stopped no longer than its grace.
   */
  'task.queued': {
    readonly description?: string
    readonly metadata?: Readonly<Record<string, unknown>>
    readonly onParentEnd?: Exclude<OnParentEnd, 'wait'>
    readonly parent?: 'elsewhere'
  }
  /** The tool's code is called. The first attempt is number 1; each further one has a `task.retrying` before it. */
  'task.started': { readonly attempt: number }
  /**
   * An attempt has failed with everything it owned; the next one begins at `dueAt`, in epoch milliseconds. `abandoned`: its
   * code ignored its signal and was let go.
   */
  'task.retrying': {
    readonly attempt: number
    readonly failure: TaskFailure
    readonly dueAt: number
    readonly abandoned?: boolean
  }
  /** A ticket is out: nobody awaits the call inline any more. */
  'task.backgrounded': { readonly reason: 'deadline' | 'request' | 'redirect' | 'wait_ended' | 'question' }
  /** Somebody awaits the call inline again. */
  'task.attached': Readonly<Record<never, never>>
  'task.progress': TaskProgress
  'task.output': { readonly chunk: string }
  'task.custom': { readonly name: string; readonly payload: unknown }
  /** The sum so far. */
  'task.usage': TaskUsage
  /** The task waits for an answer. Its running time stands still. */
  'task.asked': {
    readonly key: string
    readonly question: unknown
    readonly answerBy: number
    /** The code of the parent was told; the owner may answer all the same. */
    readonly to?: 'parent'
  }
  /**
   * A question has its answer, or its time is over: then its default was taken, or its code got an error (`timeout`).
   * Without an answer: there is none, or it is too long to be kept here. `actor` is who gave it.
   */
  'task.answered': {
    readonly key: string
    readonly by: 'answer' | 'default' | 'timeout'
    readonly answer?: unknown
    readonly actor?: string
  }
  /** No question is open any more; its running time goes on. */
  'task.resumed': Readonly<Record<never, never>>
  /** A message to the task was read by its code, or nobody read it before the end. */
  'task.message': { readonly messageId: string; readonly from: MessageSender; readonly state: 'read' | 'bounced' }
  /** The result goes to this target from now on. */
  'task.redirected': { readonly target: string }
  /** The task's own code has succeeded; children still run. */
  'task.finishing': { readonly children: number }
  /**
   * The signal has fired. Without a cause: its own code has failed, and what it owns is being stopped. A task that is tried
   * again goes on to `task.retrying`.
   */
  'task.stopping': { readonly stopCause?: StopCause }
  'task.completed': { readonly durationMs: number }
  'task.failed': { readonly durationMs: number; readonly failure: TaskFailure; readonly abandoned?: boolean }
  'task.cancelled': { readonly durationMs: number; readonly stopCause: StopCause; readonly abandoned?: boolean }
}

export type TaskEventType = keyof TaskEventData

const TYPES: Readonly<Record<TaskEventType, true>> = {
  'task.queued': true,
  'task.started': true,
  'task.retrying': true,
  'task.backgrounded': true,
  'task.attached': true,
  'task.progress': true,
  'task.output': true,
  'task.custom': true,
  'task.usage': true,
  'task.asked': true,
  'task.answered': true,
  'task.resumed': true,
  'task.message': true,
  'task.redirected': true,
  'task.finishing': true,
  'task.stopping': true,
  'task.completed': true,
  'task.failed': true,
  'task.cancelled': true,
}

export const TASK_EVENT_TYPES = Object.keys(TYPES) as readonly TaskEventType[]

/** What every event says. */
export interface TaskEventBase {
  readonly taskId: string
  /** Gapless within one task, from 1. */
  readonly seq: number
  readonly epoch: number
  /** Epoch milliseconds. Order is told by `seq`, never by this. */
  readonly at: number
  readonly owner: string
  readonly tool: string
  /** The task's name; in a custom event, that event's own. */
  readonly name?: string
  readonly conversation?: string
  readonly correlation?: Correlation
  readonly parentId?: string
  readonly rootId: string
  readonly depth: number
  /**
   * Resumes a stream right after this event. Absent on events of an ephemeral call, which are live only and have no
   * place in a feed.
   */
  readonly cursor?: string
  /** The event belongs to an inline call that may leave no trace. */
  readonly ephemeral?: true
}

/** A fact about a task, as subscribers see it. */
export type TaskEvent = {
  [Type in TaskEventType]: TaskEventBase & { readonly type: Type } & TaskEventData[Type]
}[TaskEventType]

/** A line of the log of a delivery, as subscribers see it: in the feeds of its owner and of all, never in that of its task. */
export type DeliveryEvent = {
  [Type in DeliveryEventType]: Omit<TaskEventBase, 'epoch' | 'ephemeral' | 'seq'> & {
    readonly type: Type
    readonly ephemeral?: never
    readonly deliveryId: string
    /** Gapless within one delivery, from 1. */
    readonly seq: number
    readonly target: string
    readonly kind: DeliveryKind
  } & DeliveryEventData[Type]
}[DeliveryEventType]

/** Events that were once there are gone: `from` to `to`, both included. Numbers are `seq` or feed positions. */
export interface StreamGap {
  readonly type: 'stream.gap'
  readonly from: number
  readonly to: number
  /** In the stream of one task: what is known of it now. */
  readonly record?: TaskRecord
}

/** The cursor was of an earlier log, so the stream starts anew. */
export interface StreamReset {
  readonly type: 'stream.reset'
}

/** The store does not answer; facts are held back until it does. */
export interface StreamPaused {
  readonly type: 'stream.paused'
}

/** Nothing has happened for `heartbeatMs`; the stream lives. */
export interface StreamHeartbeat {
  readonly type: 'stream.heartbeat'
}

/** What a stream may yield besides events. It carries no `seq`. */
export type StreamMark = StreamGap | StreamReset | StreamPaused | StreamHeartbeat

/** Anything a stream yields. */
export type StreamItem = TaskEvent | DeliveryEvent | StreamMark

/** An event as a store keeps it: what the record does not say. */
export interface StoredEvent<Type extends TaskEventType = TaskEventType> {
  readonly seq: number
  readonly type: Type
  readonly at: number
  readonly epoch: number
  readonly data: TaskEventData[Type]
}

const FINAL_EVENT: Readonly<Record<FinalStatus, TaskEventType>> = {
  completed: 'task.completed',
  failed: 'task.failed',
  cancelled: 'task.cancelled',
}

/** The event a task ends with. */
export function finalEventType(status: FinalStatus): TaskEventType {
  return FINAL_EVENT[status]
}

export function isFinalEventType(type: string): boolean {
  return type === 'task.completed' || type === 'task.failed' || type === 'task.cancelled'
}

/** Whether the event is only interesting while fresh: it may be trimmed and leaves a gap in its place. */
export function isFreshEventType(type: string): boolean {
  return (
    type === 'task.progress' ||
    type === 'task.output' ||
    type === 'task.usage' ||
    type === 'task.custom' ||
    type === 'task.message'
  )
}

/** Whether a stream item is an event of a task, not a mark. */
export function isTaskEvent(item: StreamItem): item is TaskEvent {
  return item.type.startsWith('task.')
}

/** Whether a stream item tells of a delivery. */
export function isDeliveryEvent(item: StreamItem): item is DeliveryEvent {
  return item.type.startsWith('delivery.')
}
