/** The live task tree in a terminal. */
import { isatty } from 'node:tty'
import { Box, render, Text, useInput, useStdout } from 'ink'
import type { ReactElement } from 'react'
import type { SurveyRun } from '../host.ts'
import type { Fact } from '../facts.ts'
import type { RowState, TaskRow } from './task-rows.ts'
import { useFrame } from './use-frame.ts'

const MAX_WIDTH = 110
const BAR_CELLS = 16

const LOOKS: Readonly<Record<RowState, { readonly mark: string; readonly color: string }>> = {
  running: { mark: '●', color: 'cyan' },
  queued: { mark: '○', color: 'gray' },
  waiting: { mark: '?', color: 'yellow' },
  retrying: { mark: '↻', color: 'magenta' },
  ticket: { mark: '◆', color: 'yellow' },
  stopping: { mark: '◌', color: 'magenta' },
  done: { mark: '✔', color: 'green' },
  cancelled: { mark: '✖', color: 'magenta' },
  failed: { mark: '✖', color: 'red' },
}

const FACT_COLORS: Readonly<Record<Fact['kind'], string>> = {
  ending: 'magenta',
  folder: 'green',
  ticket: 'yellow',
  collected: 'green',
  redirected: 'blue',
  asked: 'yellow',
  answered: 'green',
  retrying: 'magenta',
  message: 'blue',
  cancelled: 'magenta',
  failed: 'red',
}

interface LiveViewProps {
  readonly run: SurveyRun
  readonly folder: string
  /** Ends the survey early, with this code or that of Ctrl-C. The second time, nobody wants to wait. */
  readonly leave: (exitCode?: number) => void
}

/** Draws until the returned function is called. */
export function startLiveView(props: LiveViewProps): () => void {
  const app = render(<LiveView {...props} />, { exitOnCtrlC: false })
  return () => {
    // The summary takes the place of the tree.
    app.rerender(<></>)
    app.unmount()
  }
}

function LiveView({ run, folder, leave }: LiveViewProps): ReactElement {
  const { stdout } = useStdout()
  const hasKeys = isatty(process.stdin.fd)
  const { rows, facts, numbers } = useFrame(run, stdout)
  const width = Math.min(stdout.columns || 80, MAX_WIDTH)
  const labelCells = Math.max(BAR_CELLS, Math.min(44, width - 2 * BAR_CELLS))
  useInput(
    (input, key) => {
      if (key.ctrl && input === 'c') leave()
      else if (input === 'q') leave(0)
      // The log tells of the answer and of the cancel; what came too late changes nothing.
      else if (input === 'y' || input === 'n') run.answer(input === 'y').catch(() => undefined)
      else if (input === 'c') run.cancelBiggest().catch(() => undefined)
    },
    { isActive: hasKeys },
  )
  return (
    <Box flexDirection="column" width={width}>
      <Text wrap="truncate-middle" bold>
        survey of {folder}
      </Text>
      <Text wrap="truncate" color="gray">
        {numbers}
      </Text>
      <Box flexDirection="column" marginY={1}>
        {rows.map((row) => (
          <Row key={row.key} row={row} labelCells={labelCells} />
        ))}
      </Box>
      {facts.map(({ kind, text }, index) => (
        // Facts have no names; a line is where it stands.
        <Text key={index} wrap="truncate">
          <Text color={FACT_COLORS[kind]}>{kind.padEnd(11)}</Text>
          {text}
        </Text>
      ))}
      <Text wrap="truncate" color="gray">
        {hasKeys ? 'y/n answer · c cancel the biggest · q quit · Ctrl-C drain' : 'Ctrl-C drain'}
      </Text>
    </Box>
  )
}

function Row({ row, labelCells }: { readonly row: TaskRow; readonly labelCells: number }): ReactElement {
  const { mark, color } = LOOKS[row.state]
  return (
    <Box>
      <Box width={labelCells} flexShrink={0} paddingLeft={row.depth * 2} marginRight={1}>
        <Text wrap="truncate" dimColor={row.state === 'done'}>
          <Text color={color}>{mark}</Text> {row.label}
        </Text>
      </Box>
      {row.fraction !== undefined && <Bar fraction={row.fraction} color={color} />}
      <Text wrap="truncate" color="gray">
        {row.detail}
      </Text>
    </Box>
  )
}

function Bar({ fraction, color }: { readonly fraction: number; readonly color: string }): ReactElement {
  const full = Math.round(fraction * BAR_CELLS)
  return (
    <Box width={BAR_CELLS + 1} flexShrink={0}>
      <Text color={color}>{'━'.repeat(full)}</Text>
      <Text color="gray">{'─'.repeat(BAR_CELLS - full)}</Text>
    </Box>
  )
}
