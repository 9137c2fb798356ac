/** The options of reading verbs, checked. */
import { TASK_STATUSES, type StopCause } from '../machines/vocabulary.ts'
import { fromListCursor } from './list-cursor.ts'
import {
  badOption,
  checkChoice,
  checkDuration,
  checkLimit,
  checkOptionNames,
  checkSignal,
  checkText,
} from './options.ts'
import { DELIVERY_EVENT_TYPES } from './ports/delivery.ts'
import { TASK_EVENT_TYPES, type DeliveryEvent, type TaskEvent } from './ports/task-event.ts'
import type { StreamOpening } from './events/streams.ts'
import type { ListQuery } from './ports/task-store.ts'

const MAX_PAGE = 1_000
const DEFAULT_PAGE = 100
const MAX_KEY_CHARS = 256
const MAX_NOTE_CHARS = 1_000

/** @throws TypeError, `invalid_cursor` */
export function toListQuery(filter: unknown, owner: string | undefined): ListQuery {
  const known = ['status', 'parent', 'tree', 'tool', 'name', 'conversation', 'correlation', 'after', 'limit']
  const given = checkOptionNames('filter', filter, owner === undefined ? [...known, 'owner'] : known)
  const text = (name: string): string | undefined =>
    given[name] === undefined ? undefined : checkText(name, given[name], MAX_KEY_CHARS)
  const correlation = checkOptionNames('correlation', given['correlation'], ['runId'])
  const limit = given['limit'] === undefined ? DEFAULT_PAGE : Math.min(MAX_PAGE, checkLimit('limit', given['limit']))
  const query = {
    owner: owner ?? text('owner'),
    status: given['status'] === undefined ? undefined : toChoices('status', given['status'], TASK_STATUSES),
    parentId: text('parent'),
    rootId: text('tree'),
    tool: text('tool'),
    name: text('name')?.toLowerCase(),
    conversation: text('conversation'),
    runId:
      correlation['runId'] === undefined
        ? undefined
        : checkText('correlation.runId', correlation['runId'], MAX_KEY_CHARS),
    after: given['after'] === undefined ? undefined : fromListCursor(owner ?? text('owner') ?? '', given['after']),
    limit,
  }
  return withoutUndefined(query) as unknown as ListQuery
}

function toChoices<Choice extends string>(name: string, value: unknown, choices: readonly Choice[]): readonly Choice[] {
  const values = Array.isArray(value) ? (value as unknown[]) : [value]
  return values.map((choice) => checkChoice(name, choice, choices))
}

function withoutUndefined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
}

export function checkCancelOptions(options: unknown): {
  readonly reason: 'user' | 'superseded'
  readonly note?: string
} {
  const { reason, note } = checkOptionNames('options', options, ['reason', 'note'])
  const checkedReason: StopCause['reason'] & ('user' | 'superseded') =
    reason === undefined ? 'user' : checkChoice('reason', reason, ['user', 'superseded'])
  return note === undefined
    ? { reason: checkedReason }
    : { reason: checkedReason, note: checkText('note', note, MAX_NOTE_CHARS) }
}

export interface CheckedStream {
  readonly taskId: string | undefined
  readonly filter: ((event: TaskEvent | DeliveryEvent) => boolean) | undefined
  readonly opening: StreamOpening
}

const EVENT_TYPES = [...TASK_EVENT_TYPES, ...DELIVERY_EVENT_TYPES]

export function checkStreamOptions(options: unknown): CheckedStream {
  const known = ['after', 'signal', 'heartbeatMs', 'taskId', 'tree', 'tool', 'conversation', 'type']
  const given = checkOptionNames('options', options, known)
  const { signal, tree, tool, conversation, type } = given
  const opening: StreamOpening = {
    after: given['after'],
    signal: signal === undefined ? undefined : checkSignal('signal', signal),
    heartbeatMs: given['heartbeatMs'] === undefined ? undefined : checkDuration('heartbeatMs', given['heartbeatMs']),
  }
  for (const [name, value] of Object.entries({ tree, tool, conversation })) {
    if (value !== undefined) checkText(name, value, MAX_KEY_CHARS)
  }
  const taskId = given['taskId'] as string | undefined
  const isWhole = tree === undefined && tool === undefined && conversation === undefined && type === undefined
  if (isWhole) return { taskId, filter: undefined, opening }
  if (taskId !== undefined) throw badOption('options', 'either a taskId or filters', Object.keys(given).join(', '))
  const types = type === undefined ? undefined : new Set(toChoices('type', type, EVENT_TYPES))
  const filter = (event: TaskEvent | DeliveryEvent): boolean =>
    (tree === undefined || event.rootId === tree) &&
    (tool === undefined || event.tool === tool) &&
    (conversation === undefined || event.conversation === conversation) &&
    (types === undefined || types.has(event.type))
  return { taskId: undefined, filter, opening }
}
