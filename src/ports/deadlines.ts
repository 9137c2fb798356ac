/** Things that have to happen later, as those see it who need it. */

/** Something armed. Gone once it was due or disarmed. */
export interface Moment {
  readonly dueAtMs: number
  /** Does nothing when the moment has passed. */
  disarm(): void
}

export interface Deadlines {
  /** Calls `onDue(subject)` once, `delayMs` from now. */
  after<Subject>(delayMs: number, onDue: (subject: Subject) => void, subject: Subject): Moment
  /** As `after`, without holding the process alive. */
  idleAfter<Subject>(delayMs: number, onDue: (subject: Subject) => void, subject: Subject): Moment
  /** Disarms everything. */
  close(): void
}
