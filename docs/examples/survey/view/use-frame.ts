/** What the live view draws, taken ten times a second at most, and only when something has happened. */
import type { TaskRecord } from 'outlive'
import { useEffect, useState } from 'react'
import { auditTime, concat, first, interval, merge, of, switchMap } from 'rxjs'
import type { Fact } from '../facts.ts'
import type { SurveyRun } from '../host.ts'
import { countText, msText } from '../texts.ts'
import { toTaskRows, type TaskRow } from './task-rows.ts'

const FRAME_MS = 100
const LATEST_FACTS = 5
/** Folders deeper than this end without a line. */
const FACT_DEPTH = 2
/** Header, footer and the blank lines between the parts. */
const OTHER_LINES = 6
/** The tree has these before facts get a line. */
const LEAST_ROWS = 6

/** All that is drawn at one moment. */
export interface Frame {
  readonly numbers: string
  readonly rows: readonly TaskRow[]
  readonly facts: readonly Fact[]
}

/** One state for everything that is drawn. */
export function useFrame(run: SurveyRun, stdout: NodeJS.WriteStream): Frame {
  const [frame, setFrame] = useState<Frame>({ numbers: '', rows: [], facts: [] })
  useEffect(() => {
    const { session, log, startedAt } = run
    let facts: readonly Fact[] = []
    const forget = log.onFact((fact) => {
      if (isForTheFooter(fact)) facts = [...facts, fact].slice(-LATEST_FACTS)
    })
    const toFrame = (live: readonly TaskRecord[]): Frame => {
      const { inline, tickets, queued, cancelled } = log.counts
      const now = Date.now()
      const numbers = [
        msText(now - startedAt),
        countText(live.length, 'live task'),
        `${queued} queued`,
        `${inline} inline`,
      ]
      const room = (stdout.rows || 24) - OTHER_LINES
      const factLines = Math.max(0, Math.min(LATEST_FACTS, room - LEAST_ROWS))
      return {
        numbers: [...numbers, countText(tickets, 'ticket'), `${cancelled} cancelled`].join(' · '),
        rows: toTaskRows({ live, ended: log.ended, maxRows: Math.max(1, room - factLines), now }),
        facts: factLines === 0 ? [] : facts.slice(-factLines),
      }
    }
    // An event says that something has changed; `live$` gives the whole set to each subscriber at once.
    const changes = merge(session.events$({ after: 'now' }), interval(1_000)).pipe(auditTime(FRAME_MS))
    const frames = concat(of(undefined), changes).pipe(switchMap(() => session.live$.pipe(first())))
    const drawing = frames.subscribe((live) => setFrame(toFrame(live)))
    return () => {
      drawing.unsubscribe()
      forget()
    }
  }, [run, stdout])
  return frame
}

/** Tickets come by the hundred, and stand in the tree. */
function isForTheFooter({ kind, depth }: Fact): boolean {
  return kind !== 'ticket' && kind !== 'collected' && (kind !== 'folder' || depth <= FACT_DEPTH)
}
