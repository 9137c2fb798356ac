/**
 * `task_start`: starts one of the tools that the host allows, as a task of record, so that the model finds it again
 * however it ends. A quick one answers with its result, a slow one with its ticket.
 */
import { isFinalStatus } from '../../../machines/vocabulary.ts'
import { isTaskError, messageOf, type ErrorCode } from '../../errors.ts'
import { quote } from '../../options.ts'
import type { RunCall, RunOutcome } from '../../ports/task-handle.ts'
import { answerWith, inSentence } from './answers.ts'
import type { ControlParts, ControlToolSpec } from './control-tool.ts'
import { embedSchema, type JsonSchema, type JsonSchemaTarget } from './json-schema.ts'
import { describeOutcome, describeValue } from './outcomes.ts'
import { anything, flag, text, type Parameter } from './parameters.ts'
import type { Startable } from './startable.ts'
import { ticketTextFor } from './ticket-text.ts'

const INPUT_PLACE = '#/properties/input'

/** What a start is refused with. Anything else comes from the tool itself, whatever its error looks like. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'input_invalid',
  'name_taken',
  'name_invalid',
  'capacity_exceeded',
  'queue_full',
  'key_busy',
  'key_held_by_ancestor',
  'dedupe_conflict',
  'depth_exceeded',
  'children_exceeded',
  'parent_stopping',
  'supervisor_closed',
  'store_unavailable',
])

type StartParameters = {
  readonly tool: Parameter<string>
  readonly input: Parameter<unknown>
  readonly name: Parameter<string>
  readonly background: Parameter<boolean>
}

export function createTaskStart(parts: ControlParts): ControlToolSpec<StartParameters> {
  const { session, start } = parts
  const names = start.map(({ name }) => name)

  const describeOutcomeOf = async (outcome: RunOutcome<unknown>): Promise<string> => {
    if (outcome.kind === 'background') return ticketTextFor(outcome.ticket, parts.names)
    const { taskId = '', value } = outcome
    const record = await session.get(taskId)
    if (record !== undefined && isFinalStatus(record.status)) return describeOutcome(parts, record, 1)
    // A store that does not answer has not taken the end yet; what the call gave is at hand.
    return describeValue(parts, `Task ${taskId}: completed.`, { value, page: 1 })
  }

  return {
    name: 'task_start',
    description: `Starts a tool as a task of yours. A quick one answers with its result; a slow one goes on in the background, and you get its id.\n${start.map(lineOf).join('\n')}`,
    parameters: {
      tool: text('The tool to start.', { isRequired: true, choices: names }),
      input: anything((target) => inputSchemaOf(start, target)),
      name: text('A name for the task, if you want one: a letter and up to 63 letters, digits, _ or -.'),
      background: flag(backgroundText(start)),
    },
    annotations: {
      readOnly: start.every(({ policy }) => policy.readOnly === true),
      destructive: start.some(({ policy }) => policy.destructive === true),
      idempotent: false,
    },
    async answer({ tool, input, name, background }, { signal }) {
      const startable = start.find((known) => known.name === tool)
      if (startable === undefined) {
        return `There is no tool ${quote(tool)} to start. There are: ${names.map(inSentence).join(', ')}.`
      }
      const options: RunCall = {
        // Of record from its start: a model that lost its ticket finds it, and a long result can be read on.
        durable: true,
        ...(background && startable.policy.modelMayChoose === true ? { inlineMs: 0 } : {}),
        ...(name === '' ? {} : { name }),
        ...(signal === undefined ? {} : { signal }),
      }
      let outcome: RunOutcome<unknown>
      try {
        outcome = await session.run(startable.tool, input, options)
      } catch (error) {
        signal?.throwIfAborted()
        if (isTaskError(error) && REFUSALS.has(error.code)) throw error
        return answerWith(parts, `The call of ${inSentence(tool)} ended without a result.`, messageOf(error))
      }
      return describeOutcomeOf(outcome)
    },
  }
}

function lineOf({ name, description, policy }: Startable): string {
  const flags = [
    ...(policy.readOnly === true ? ['changes nothing'] : []),
    ...(policy.destructive === true ? ['destructive: what it does may not be undone'] : []),
  ]
  const what = description === undefined ? '' : `: ${description}`
  return `- ${inSentence(name)}${what}${flags.length === 0 ? '' : ` (${flags.join('; ')})`}`
}

/** Nothing when no tool leaves it to the model. */
function backgroundText(start: readonly Startable[]): string | undefined {
  const names = start.filter(({ policy }) => policy.modelMayChoose === true).map(({ name }) => inSentence(name))
  if (names.length === 0) return undefined
  const only = names.length === start.length ? '' : ` Only ${names.join(', ')} can be told so.`
  return `true: do not wait, send the task to the background at once.${only}`
}

function inputSchemaOf(start: readonly Startable[], target: JsonSchemaTarget): JsonSchema {
  const [first] = start
  if (first !== undefined && start.length === 1) return embedSchema(first.toSchema(target), INPUT_PLACE)
  return {
    anyOf: start.map(({ name, toSchema }, index) => ({
      title: name,
      ...embedSchema(toSchema(target), `${INPUT_PLACE}/anyOf/${index}`),
    })),
  }
}
