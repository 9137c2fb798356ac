/** The phases of a supervisor: it accepts work, then drains what it has, then is stopped for good. */
import { setup } from 'xstate'
import type { SupervisorChartEvent } from './vocabulary.ts'

export const supervisorMachine = setup({ types: { events: {} as SupervisorChartEvent } }).createMachine({
  id: 'supervisor',
  initial: 'accepting',
  states: {
    /** New tasks are admitted. */
    accepting: { on: { 'supervisor.drain': 'draining', 'supervisor.stop': 'stopped' } },
    /** New tasks are refused; live ones may end by themselves until the grace is over. */
    draining: { on: { 'supervisor.stop': 'stopped' } },
    /** Nothing lives any more. */
    stopped: { type: 'final' },
  },
})

export type SupervisorMachine = typeof supervisorMachine
