/**
 * Two turns of an agent. In the first its model calls a slow tool, gets a ticket instead of a result, does other work and
 * ends the turn. When the task has ended, the host is woken with a digest, and in a second turn the model reads the result
 * with `task_result`.
 *
 * The model is a script that reads what a real one would read, so this runs without a network:
 * `npx tsc -p docs/examples/tsconfig.json && node dist/docs/examples/agent-turn.js`
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createTaskSupervisor, defineTool, type RunOutcome } from 'outlive'
import { controlTools, ticketText } from 'outlive/tools'
import { z } from 'zod'

interface Message {
  readonly from: 'user' | 'host' | 'model' | 'tool'
  readonly text: string
}

interface ToolCall {
  readonly tool: string
  readonly args: unknown
}

/** What a model says after it has read the conversation: without calls its turn is over. */
interface Reply {
  readonly text: string
  readonly calls: readonly ToolCall[]
}

type Model = (conversation: readonly Message[]) => Reply

// The tools of the host.

const research = defineTool({
  name: 'research',
  description: 'Looks a topic up, thoroughly.',
  input: z.object({ topic: z.string() }),
  async run({ topic }, ctx) {
    const found: string[] = []
    for (let source = 1; source <= 60; source += 1) {
      await sleep(5)
      found.push(`Source ${source}: ${topic} hunt at night.`)
      ctx.progress({ done: source, total: 60 })
    }
    return found.join('\n')
  },
})

const countWords = defineTool({
  name: 'count_words',
  description: 'Counts the words of a text.',
  input: z.object({ text: z.string() }),
  run: ({ text }) => text.split(/\s+/).length,
})

// The host: one session for the user, who is known by his login, and the control tools that go with it.

const tasks = createTaskSupervisor({ inlineMs: 50 })
const session = tasks.session({ owner: 'user:ann', conversation: 'c-1' })
const controls = controlTools(session, { maxTokens: 400 })

/** What a model wrote is checked by the tool's schema, whatever the compiler is told here. */
const hostTools = new Map<string, (args: unknown) => Promise<RunOutcome<unknown>>>([
  ['research', (args) => session.run(research, args as { readonly topic: string })],
  ['count_words', (args) => session.run(countWords, args as { readonly text: string })],
])

/** Does what the model asks for, and gives the text that it reads. */
async function callTool({ tool, args }: ToolCall): Promise<string> {
  const control = controls.find(({ name }) => name === tool)
  if (control !== undefined) return control.execute(args)
  const outcome = await hostTools.get(tool)?.(args)
  if (outcome === undefined) return `There is no tool ${tool}.`
  return outcome.kind === 'inline' ? JSON.stringify(outcome.value) : ticketText(outcome.ticket, controls)
}

/** One turn: the model speaks and calls until it calls nothing more. */
async function runTurn(model: Model, conversation: Message[]): Promise<void> {
  for (;;) {
    const { text, calls } = model(conversation)
    add(conversation, { from: 'model', text })
    if (calls.length === 0) return
    for (const call of calls) add(conversation, { from: 'tool', text: await callTool(call) })
  }
}

/**
 * Between turns: what has happened meanwhile, once for many ends, in a few words for the model. What ended before this is
 * called is told as well.
 */
function whenWoken(): Promise<string> {
  return new Promise((resolve) => {
    const stop = session.inbox.wake(
      (news) => {
        stop()
        resolve(news.digest({ maxTokens: 100 }))
      },
      { quietMs: 50 },
    )
  })
}

function add(conversation: Message[], message: Message): void {
  conversation.push(message)
  const lines = message.text.split('\n')
  const shown = lines.length > 8 ? [...lines.slice(0, 6), `… ${lines.length - 7} lines …`, ...lines.slice(-1)] : lines
  console.log(`${`${message.from}:`.padEnd(6)} ${shown.join('\n       ')}`)
}

// The script in the place of a model. All that it knows it has read in the conversation.

const scriptedModel: Model = (conversation) => {
  const last = conversation.at(-1) ?? { from: 'user', text: '' }
  const ticket = conversation.map(({ text }) => /as task (\S+) \(/.exec(text)?.[1]).find((id) => id !== undefined)
  const nextPage = /call task_result with page (\d+)/.exec(last.text)?.[1]
  if (last.from === 'user') {
    return { text: 'I look that up.', calls: [{ tool: 'research', args: { topic: 'owls' } }] }
  }
  if (last.from === 'host' || nextPage !== undefined) {
    const page = Number(nextPage ?? 1)
    return { text: `I read page ${page}.`, calls: [{ tool: 'task_result', args: { task_id: ticket, page } }] }
  }
  if (/goes on in the background/.test(last.text)) {
    const text = 'What do owls do at night?'
    return {
      text: 'That takes a while. I count the words of your question meanwhile, and see how far it is.',
      calls: [
        { tool: 'count_words', args: { text } },
        { tool: 'task_check', args: { task_id: ticket } },
      ],
    }
  }
  if (last.text.startsWith('Task ') && !last.text.includes('Its result:')) {
    return { text: 'Your question has six words. I tell you the rest when I have it.', calls: [] }
  }
  const sources = conversation.flatMap(({ text }) => text.match(/^Source \d+: .*$/gm) ?? [])
  return { text: `They hunt: ${new Set(sources).size} sources say so.`, calls: [] }
}

const conversation: Message[] = []
add(conversation, { from: 'user', text: 'What do owls do at night?' })
await runTurn(scriptedModel, conversation)
add(conversation, { from: 'host', text: await whenWoken() })
await runTurn(scriptedModel, conversation)
await tasks.shutdown()
