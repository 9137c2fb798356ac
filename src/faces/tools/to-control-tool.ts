/**
 * From a control tool as its file gives it to what a host gets.
 *
 * 1. What a model wrote is read leniently and never refused by a schema: what it asked for is answered by a text.
 * 2. Only own properties that are named in `parameters` are read. Who asks is known to the session, never to the model.
 * 3. A call answers with a text. It rejects when the host aborts it, and at no other time.
 */
import { onAbort } from '../../abort-listeners.ts'
import { isTaskError } from '../../errors.ts'
import { checkSignal } from '../../options.ts'
import type { ControlParts, ControlTool, ControlToolSpec } from './control-tool.ts'
import { describeError } from './error-texts.ts'
import type { JsonSchemaTarget } from './json-schema.ts'
import { toArguments, toInputSchema, type Parameters } from './parameters.ts'
import { SCHEMA_TARGET } from './startable.ts'

export function toControlTool<Known extends Parameters>(
  { name, description, parameters, annotations, answer }: ControlToolSpec<Known>,
  parts: ControlParts,
): ControlTool {
  const schemaFor = ({ target }: { readonly target: JsonSchemaTarget }): Record<string, unknown> =>
    toInputSchema(parameters, target)

  const answerOrExplain = async (args: unknown, signal: AbortSignal | undefined): Promise<string> => {
    try {
      return await answer(toArguments(parameters, args), { signal })
    } catch (error) {
      signal?.throwIfAborted()
      if (!isTaskError(error)) parts.reportError(error, name)
      return describeError(error, parts)
    }
  }

  return Object.freeze({
    name,
    description,
    inputSchema: toInputSchema(parameters, SCHEMA_TARGET),
    input: {
      '~standard': {
        version: 1 as const,
        vendor: 'outlive',
        validate: (value: unknown) => ({ value: toArguments(parameters, value) }),
        // What was read is written as it may be written.
        jsonSchema: { input: schemaFor, output: schemaFor },
      },
    },
    annotations: Object.freeze({ ...annotations }),
    async execute(args: unknown, options?: { readonly signal?: AbortSignal }) {
      const signal = options?.signal === undefined ? undefined : checkSignal('signal', options.signal)
      signal?.throwIfAborted()
      return unlessAborted(signal, () => answerOrExplain(args, signal))
    },
  })
}

/** A wait ends with its signal anyway; this lets go of what has none, such as a cancel that waits for the tree below. */
function unlessAborted<Value>(signal: AbortSignal | undefined, begin: () => Promise<Value>): Promise<Value> {
  if (signal === undefined) return begin()
  return new Promise((resolve, reject) => {
    // It listens before it begins: what is begun may be the end of the task that the signal belongs to.
    const forget = onAbort(signal, (reason) => reject(reason as Error))
    begin().then(resolve, reject).finally(forget)
  })
}
