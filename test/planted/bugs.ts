/**
 * Bugs of one line, as data. Each is planted into a copy of the sources, and the simulation has to find it there; nothing of
 * it is in the library.
 */

export interface PlantedBug {
  readonly title: string
  /** Where it is planted. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly find: string
  readonly replace: string
  /** By which laws and rules the simulation may find it first; or all the cases of contracts that it breaks. */
  readonly foundBy: readonly string[]
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    title: 'the store skips the compare-and-set',
    file: 'src/adapters/memory/memory-store.ts',
    find: 'if ((known?.record.version ?? 0) !== expect.version || (known?.record.epoch ?? expect.epoch) > expect.epoch) {',
    replace: 'if ((known?.record.epoch ?? expect.epoch) > expect.epoch + 100) {',
    foundBy: ['history rule 1', 'log law 1', 'log law 2', 'log law 7'],
  },
  {
    title: 'the store takes commits of dead processes',
    file: 'src/adapters/memory/memory-store.ts',
    find: "if (isFenced(change, known)) return { kind: 'stale' }",
    replace: '',
    foundBy: ['history rule 8', 'log law 7', 'log law 2'],
  },
  {
    title: 'the feed misses one event on resume',
    file: 'src/adapters/memory/kept-rows.ts',
    find: 'for (const { place, item } of feed?.after(after) ?? []) {',
    replace: 'for (const { place, item } of feed?.after(after > 9 ? after + 1 : after) ?? []) {',
    foundBy: ['history rule 2', 'log law 1', 'log law 3'],
  },
  {
    title: 'the count of a status is not kept',
    file: 'src/adapters/memory/memory-store.ts',
    find: 'recount(owner, row.record.status, record.status)',
    replace: "if (record.status !== 'cancelled') recount(owner, row.record.status, record.status)",
    foundBy: ['history rule 9'],
  },
  {
    title: 'a session reads the records of all owners',
    file: 'src/task-places.ts',
    find: 'return record !== undefined && isWithin(record.owner, record.parentId) ? record : undefined',
    replace: 'return record',
    foundBy: ['history rule 5'],
  },
  {
    title: 'a session finds the live tasks of all owners',
    file: 'src/task-places.ts',
    find: ' && isWithin(task.spec.owner, task.parentId) ? task',
    replace: ' ? task',
    foundBy: ['history rule 5'],
  },
  {
    title: 'an end that the store has not got is told as kept',
    file: 'src/verbs/wait-verbs.ts',
    find: "toTaskRecord(record, isSaved ? store.durability : 'memory')",
    replace: 'toTaskRecord(record, isSaved ? store.durability : store.durability)',
    foundBy: ['history rule 4'],
  },
  {
    title: 'a result is sent before its end is committed',
    file: 'src/runtime/journal/log-writer.ts',
    find: '    log.isInFlight = true\n    log.pending = undefined',
    replace: '    committed.push(commit)\n    log.isInFlight = true\n    log.pending = undefined',
    foundBy: ['history rule 6'],
  },
  {
    title: 'numbers of events are given twice',
    file: 'src/runtime/journal/journal.ts',
    find: '    task.lastSeq += 1\n    return { seq: task.lastSeq, type, at: clock.now()',
    replace:
      "    if (type !== 'task.redirected') task.lastSeq += 1\n    return { seq: task.lastSeq, type, at: clock.now()",
    foundBy: ['log law 1'],
  },
  {
    title: 'a stopping task may spawn',
    file: 'machines/policies/admission.ts',
    find: "if (parent.isStopping || parent.status === 'stopping' || isFinalStatus(parent.status))",
    replace: 'if (isFinalStatus(parent.status))',
    foundBy: ['log law 5', 'log law 4'],
  },
  {
    title: 'a parent ends without waiting for its children',
    file: 'machines/policies/work-end.ts',
    find: "return end.ownsLiveChildren ? undefined : 'children.settled'",
    replace: "return 'children.settled'",
    foundBy: ['log law 4'],
  },
  {
    title: 'the tasks of a dead process are not looked for',
    file: 'src/runtime/cluster/sweeper.ts',
    find: 'const orphans = await findOrphans(parts.store, dead, (taskId) => live.has(taskId))',
    replace: 'const orphans: Awaited<ReturnType<typeof findOrphans>> = await Promise.resolve([])',
    foundBy: ['history rule 8'],
  },
  {
    title: 'a commit that has failed is not sent again',
    file: 'src/runtime/journal/store-writer.ts',
    find: '        if (end(tried)) retryLater(sent, error)',
    replace: '        end(tried)',
    foundBy: ['history rule 8'],
  },
  {
    title: 'an attempt keeps its number',
    file: 'src/runtime/life/attempts.ts',
    find: 'attempts.current = createAttempt(task, before.current.number + 1)',
    replace: 'attempts.current = createAttempt(task, before.current.number)',
    foundBy: ['log law 7'],
  },
  {
    title: 'a task resumes with a question open, and not with the last one answered',
    file: 'src/runtime/questions/settling.ts',
    find: "if (questionsOf(task).open.size === 0) journal.append(task, 'task.resumed', {})",
    replace: "journal.append(task, 'task.resumed', {})\n    journal.append(task, 'task.answered', data)",
    foundBy: ['log law 9'],
  },
  {
    title: 'a delivery is settled before the channel has answered',
    file: 'src/delivery/delivery-actor.ts',
    find: 'const outcome = await caller.send(channel, { target, message })',
    replace:
      "void caller.send(channel, { target, message })\n      const outcome: SendOutcome = { kind: 'accepted', messageId: undefined }",
    foundBy: ['history rule 6'],
  },
  {
    title: 'a child is told to lie as deep as its parent',
    file: 'machines/policies/lineage.ts',
    find: 'depth: parent.depth + 1',
    replace: 'depth: parent.depth + (parent.depth > 0 ? 0 : 1)',
    foundBy: ['log law 6'],
  },
  {
    title: 'the slot of an attempt is lost when the next one begins',
    file: 'src/runtime/turns/slots.ts',
    find: "if (place === undefined || place.state !== 'lent') return\n      place.state = 'gone'",
    replace:
      "if (place === undefined || place.state !== 'lent') return\n      count(task.spec.owner, 1)\n      place.state = 'gone'",
    foundBy: ['history rule 10', 'history rule 8'],
  },
  {
    title: 'the last of several messages is not sent',
    file: 'src/delivery/delivery-actor.ts',
    find: "if (outcome.kind !== 'accepted' || part === texts.length) return outcome",
    replace: "if (outcome.kind !== 'accepted' || part >= texts.length - 1) return outcome",
    foundBy: ['history rule 6'],
  },
  {
    title: 'what the code of an attempt says that is over is taken',
    file: 'src/runtime/task-context.ts',
    find: "return this.#of.kind === 'attempt' && this.#of.isOver",
    replace: 'return false',
    foundBy: ['log law 8'],
  },
  {
    title: 'what waits to be written is cleared before the store has taken it',
    file: 'src/runtime/journal/log-writer.ts',
    find: '  if (commit.events.length > 0) log.pending = [...commit.events, ...(log.pending ?? [])]\n',
    replace: '',
    foundBy: ['log law 1', 'log law 3', 'log law 7', 'history rule 8'],
  },
  {
    title: 'children start below a task that waits for its turn',
    file: 'machines/policies/admission.ts',
    find: "if (parent.status === 'queued' || parent.status === 'retrying') return",
    replace: "if (parent.status === 'retrying') return",
    foundBy: ['log law 4'],
  },
  {
    title: 'recovery decides about a task whose children live in other processes',
    file: 'src/runtime/cluster/recovery.ts',
    find: ' || (await stopChildren(orphan))',
    replace: '',
    foundBy: ['log law 4', 'log law 5'],
  },
]

/** Bugs that the simulation cannot see, for nothing in it comes that far; the contracts for stores and channels do. */
export const CONTRACT_BUGS: readonly PlantedBug[] = [
  {
    // The version alone tells apart what two sound processes write.
    title: 'the store does not compare epochs',
    file: 'src/adapters/memory/memory-store.ts',
    find: ' || (known?.record.epoch ?? expect.epoch) > expect.epoch) {',
    replace: ') {',
    foundBy: ['store: a commit of an older epoch is stale'],
  },
  {
    title: 'a webhook that answers 400 is asked again',
    file: 'src/adapters/channels/webhook/webhook-answer.ts',
    find: 'new Set([408, 425, 429])',
    replace: 'new Set([400, 408, 425, 429])',
    foundBy: ['webhook: what is answered with 400 is refused'],
  },
  {
    title: 'a webhook that answers 410 is asked again',
    file: 'src/adapters/channels/webhook/webhook-answer.ts',
    find: "if (status === 410) throw new ChannelError('gone', said, { status })",
    replace: "if (status === 410) throw new ChannelError('retry', said, { status })",
    foundBy: ['webhook: what is answered with 410 is gone'],
  },
]
