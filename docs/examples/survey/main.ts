/** The command: `npm start`, or `npm start -- FOLDER [flags]`. */
import { constants } from 'node:os'
import { shutdownOnSignals } from 'outlive'
import { startSurvey, type SurveyRun } from './host.ts'
import { HELP, readCommandLine, type SurveyOptions } from './options.ts'
import { exitCodeOf, formatSummary, toSummary } from './summary.ts'
import { killChildren } from './tools/compress.ts'
import { plainText } from './texts.ts'
import { startPlainView } from './view/plain-view.ts'

// npm runs scripts in the package's folder; a path that a person typed starts where they were.
const commandLine = readCommandLine(process.argv.slice(2), process.env['INIT_CWD'] ?? process.cwd())
switch (commandLine.kind) {
  case 'help':
    process.stdout.write(HELP)
    break
  case 'mistake':
    process.stderr.write(`survey: ${commandLine.message} (--help lists the flags)\n`)
    process.exitCode = 2
    break
  case 'survey':
    process.exitCode = await survey(commandLine.options)
    break
}

/** Runs to the end, and gives the exit code. */
async function survey(options: SurveyOptions): Promise<number> {
  const startView = await chooseView(options)
  const run = await startSurvey(options)

  let early: number | undefined
  // For the end that a second signal forces.
  process.on('exit', killChildren)
  const undo = shutdownOnSignals(run.tasks, {
    graceMs: options.graceMs,
    onSignal(signal) {
      early ??= 128 + constants.signals[signal]
      run.sayEnding()
    },
  })
  // Where keys are read one by one, Ctrl-C is a key like `q`, and both stand for the signal.
  const leave = (exitCode?: number): void => {
    early ??= exitCode
    process.emit('SIGINT', 'SIGINT')
  }

  const endView = startView(run, leave)
  const ending = await run.whenDone()
  undo()
  endView()
  process.stdout.write(`\n${ending.printed}\n${formatSummary(toSummary(ending, run))}`)
  return early ?? exitCodeOf(ending)
}

/** Starts to show a run; gives what ends that. */
type StartView = (run: SurveyRun, leave: (exitCode?: number) => void) => () => void

async function chooseView({ isPlain, folder }: SurveyOptions): Promise<StartView> {
  const isTerminal = process.stdout.isTTY && process.env['TERM'] !== 'dumb'
  if (isPlain || !isTerminal || process.env['CI'] !== undefined) {
    process.stdout.write(`surveying ${plainText(folder)}\n`)
    return (run) => startPlainView(run, (text) => process.stdout.write(text))
  }
  // Loaded only when there is a terminal to draw on. React is several times faster when it does not look for mistakes.
  process.env['NODE_ENV'] ??= 'production'
  const { startLiveView } = await import('./view/live-view.tsx')
  return (run, leave) => startLiveView({ run, folder, leave })
}
