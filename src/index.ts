/** `outlive`: everything that is public, by name. */
export type { BudgetAmounts } from '../machines/policies/budget.ts'
export type { Correlation, OnChildFailure, OnParentEnd } from '../machines/policies/lineage.ts'
export type { RestartIntensity } from '../machines/policies/restarts.ts'
export {
  isFinalStatus,
  type FinalStatus,
  type StopCause,
  type TaskFailure,
  type TaskStatus,
} from '../machines/vocabulary.ts'
export { callbackChannel } from './adapters/channels/callback-channel.ts'
export { consoleChannel, type ConsoleChannelOptions, type ConsoleStream } from './adapters/channels/console-channel.ts'
export { fileChannel } from './adapters/channels/file-channel.ts'
export { memoryStore } from './adapters/memory/memory-store.ts'
export { approval, type Approval } from './approval.ts'
export {
  ERROR_CODES,
  isTaskError,
  ParentStoppingError,
  StreamLaggedError,
  TaskCancelledError,
  TaskError,
  TaskFailedError,
  TaskNotFoundError,
  TaskStoppedError,
  WaitTimeoutError,
  type ErrorCode,
} from './errors.ts'
export { toDigest, toModelMessage } from './delivery/model-messages.ts'
export type {
  DigestNoticeView,
  EndNoticeView,
  NoticeSettings,
  NoticeOptions,
  NoticeTemplates,
  QuestionNoticeView,
  StartNoticeView,
} from './delivery/notice-settings.ts'
export type { Operator } from './operator.ts'
export type { DeliveryOptions, RetentionOptions } from './settings.ts'
export { ChannelError } from './channel-error.ts'
export type {
  Channel,
  ChannelCall,
  ChannelLimits,
  ChannelMessage,
  ChannelPresence,
  ChannelReceipt,
  ChannelSend,
  DeliveryTarget,
} from './ports/channel.ts'
export type { DeliveryPolicy, DeliveryRequest } from './delivery/targets.ts'
export type { AuditedTask, AuditPage } from './audit.ts'
export type { Clock, ClockTimer } from './ports/clock.ts'
export type { IdSource } from './ports/id-source.ts'
export type { RetryExhausted, RetryPolicy } from './ports/retry-policy.ts'
export type { Logger } from './ports/logger.ts'
export type { DeadLetters, DigestOptions, OwnerInbox, OwnerNews, TaskInbox, WakeOptions } from './ports/inbox.ts'
export type {
  DeadLetter,
  EndMessage,
  MessageSender,
  OwnerMessage,
  QuestionMessage,
  Recipient,
  SendReceipt,
  SentMessage,
  TaskMessage,
} from './ports/message.ts'
export type {
  BudgetOptions,
  CallOptions,
  CancelOptions,
  CancelReport,
  RunCall,
  RunOutcome,
  SpawnCall,
  StreamOptions,
  TaskHandle,
  Ticket,
  WaitOptions,
} from './ports/task-handle.ts'
export {
  isDeliveryEvent,
  isTaskEvent,
  type DeliveryEvent,
  type StoredEvent,
  type StreamGap,
  type StreamHeartbeat,
  type StreamItem,
  type StreamMark,
  type StreamPaused,
  type StreamReset,
  type TaskEvent,
  type TaskEventData,
  type TaskEventType,
} from './ports/task-event.ts'
export type {
  Durability,
  OpenQuestion,
  StoredRecord,
  TaskBudget,
  TaskProgress,
  TaskRecord,
  TaskUsage,
} from './ports/task-record.ts'
export { groupCommits, type CommitGroupsOptions } from './commit-groups.ts'
export type { Awaitable } from './ports/awaitable.ts'
export {
  DELIVERY_EVENT_TYPES,
  DELIVERY_FAILURE_CODES,
  type DeliveryEventData,
  type DeliveryEventType,
  type DeliveryFailure,
  type DeliveryFailureCode,
  type DeliveryKind,
  type DeliveryLine,
  type OutboxEntry,
  type StoredDeliveryEvent,
} from './ports/delivery.ts'
export { ORDER_KEPT_MS, type ClusterStore, type DeadNode, type Order, type StoreHint } from './ports/cluster-store.ts'
export type {
  Attachment,
  AttachmentKind,
  Claim,
  Commit,
  CommitReply,
  DeliveryQuery,
  DeliveryReply,
  FeedEntry,
  FeedPage,
  ListPage,
  ListQuery,
  PruneReply,
  TaskStore,
} from './ports/task-store.ts'
export type {
  AnyToolDefinition,
  AskOptions,
  ProgressReport,
  TaskContext,
  Tool,
  ToolDefinition,
  ToolFunction,
  ToolPolicy,
} from './ports/tool.ts'
export { currentTask } from './runtime/ambient.ts'
export type { ShutdownReport } from './runtime/shutdown.ts'
export type { Inspector } from './runtime/supervisor-actor.ts'
export type {
  DeadDeliveries,
  DeliveryPage,
  DeliveryRecord,
  DeliveryRef,
  ListFilter,
  Session,
  SessionOptions,
  StreamFilter,
  TaskPage,
  TaskStats,
} from './ports/session.ts'
export type { PreparedTask, Projection, ReconcileReport } from './ports/projection.ts'
export type { Health } from './health.ts'
export type { SupervisorStats } from './stats.ts'
export { shutdownOnSignals, type SignalOptions } from './shutdown-on-signals.ts'
export type { TaskSupervisorOptions } from './supervisor-options.ts'
export { createTaskSupervisor, type ShutdownOptions, type TaskSupervisor } from './task-supervisor.ts'
export { defineTool } from './tool.ts'
