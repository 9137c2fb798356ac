/** What happened that nobody was told about directly: every drop, gap, cut and let-go is counted here. */
export interface Counters {
  /** Outcomes of work whose task was final already. */
  lateOutcomes: number
  /** Progress reports that a newer one replaced before it was kept. */
  coalescedProgress: number
  /** Progress, output and custom events dropped to keep a log bounded. */
  trimmedEvents: number
  /** Reports of code that were dropped because too much waited for the store. */
  unsavedReports: number
  /** Reports of a task's code after its end. */
  lateReports: number
  /** Messages that bounced because their task ended unread. */
  bouncedMessages: number
  /** Dead letters, and messages to owners who did not read them, dropped to stay within bounds. */
  droppedMessages: number
  /** Consumers cut off because they were too slow. */
  cutConsumers: number
  /** Marks handed to consumers in the place of events that are no longer kept. */
  gaps: number
  /** Finished tasks dropped by retention. */
  evictedTasks: number
  /** Tasks let go because their code ignored its signal. */
  abandonedTasks: number
  /** Attempts let go because their code ignored its signal; their tasks went on to the next one. */
  abandonedAttempts: number
  /** Tasks whose next attempt was dropped by a shutdown. */
  droppedRetries: number
  /** Times that this process could not renew its lease in time, and stopped what must not run twice. */
  fencedTimes: number
  /** Times that this process was found dead by others, and let go of all its tasks of record. */
  lostLeases: number
  /** Tasks of dead processes that were closed here. */
  closedOrphans: number
  /** Tasks of dead processes whose code runs again here. */
  rerunOrphans: number
  /** Tasks that a shutdown has left for other processes to go on with. */
  handedBackTasks: number
  /** Orders of other processes that were taken. */
  ordersTaken: number
  /** Commits that the store refused. */
  refusedCommits: number
  /** Errors of the store in what nobody awaits: each failed attempt to commit, to prune, to keep how a delivery ended. */
  storeErrors: number
  /** Attempts to deliver a notice that failed, and were followed by another. */
  retriedDeliveries: number
  /** Results that could not be delivered, and are dead letters. */
  failedDeliveries: number
  /** Changes of tasks that the host's ledger has refused, each time, and those left out while it was away for long. */
  projectionErrors: number
  /** Errors thrown by subscribers. */
  subscriberErrors: number
}

export function createCounters(): Counters {
  return {
    lateOutcomes: 0,
    coalescedProgress: 0,
    trimmedEvents: 0,
    unsavedReports: 0,
    lateReports: 0,
    bouncedMessages: 0,
    droppedMessages: 0,
    cutConsumers: 0,
    gaps: 0,
    evictedTasks: 0,
    abandonedTasks: 0,
    abandonedAttempts: 0,
    droppedRetries: 0,
    fencedTimes: 0,
    lostLeases: 0,
    closedOrphans: 0,
    rerunOrphans: 0,
    handedBackTasks: 0,
    ordersTaken: 0,
    refusedCommits: 0,
    storeErrors: 0,
    retriedDeliveries: 0,
    failedDeliveries: 0,
    projectionErrors: 0,
    subscriberErrors: 0,
  }
}
