/** From what a store kept of a call to what the runtime takes: the same call, made again in another process. */
import { fromInputJson } from './call-input.ts'
import { toAttemptPolicy } from './call-limits.ts'
import type { StoredRecord } from '../ports/task-record.ts'
import type { RecalledCall } from '../runtime/cluster/recovery.ts'
import { fitTo } from '../schema.ts'
import type { ResolvedTool } from '../tool.ts'

/**
 * Gives the call that made a task. Its attempts follow the tool as it is registered now, everything else is as it was. No
 * answer when the tool is not known here, does not run again, or does not take the input any more.
 */
export function createRecall(
  tools: ReadonlyMap<string, ResolvedTool>,
): (record: StoredRecord, inputJson: string) => Promise<RecalledCall | undefined> {
  return async (record, inputJson) => {
    const tool = tools.get(record.tool)
    const { recovery } = record
    if (tool?.policy.recovery !== 'rerun' || recovery === undefined) return undefined
    try {
      const input = fromInputJson(inputJson)
      const fitted = tool.schema === undefined ? { value: input } : await fitTo(tool.schema, input, REFUSED)
      return { spec: toSpec(record, tool, recovery.maxInterruptions), input: fitted.value }
    } catch {
      // It fitted when the call was made; the tool is another one by now.
      return undefined
    }
  }
}

const REFUSED = 'The kept input does not fit'

function toSpec(record: StoredRecord, tool: ResolvedTool, maxInterruptions: number): RecalledCall['spec'] {
  const { owner, conversation, origin, name, description, metadata, correlation, policy, targets } = record
  const { concurrencyKey, dedupeKey, inputDigest, priority = 0 } = record
  return Object.freeze({
    tool: tool.name,
    run: tool.run,
    owner,
    conversation,
    origin,
    name,
    description,
    metadata,
    correlation,
    inlineMs: 0,
    policy,
    attempts: toAttemptPolicy(tool.policy, tool),
    recovery: { maxInterruptions },
    budget: undefined,
    durable: true,
    priority,
    concurrency: concurrencyKey === undefined ? undefined : ({ key: concurrencyKey, onBusy: 'queue' } as const),
    dedupe: dedupeKey === undefined || inputDigest === undefined ? undefined : { key: dedupeKey, digest: inputDigest },
    targets,
    hasExplicitTarget: targets.length > 0,
    shadowOf: undefined,
    retryOf: record.retryOf,
  })
}
