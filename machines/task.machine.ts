/**
 * The life of one task, as a chart.
 *
 * While a task lives it is in two regions at once: `work` (what may be assumed about its code) and `caller` (whether
 * somebody awaits the call inline). The three finals stand above both, so ending leaves both regions in one step.
 *
 * 1. A final state has no way out.
 * 2. The first event that decides the outcome wins: `cancelling`, `timingOut`, `interrupting` and `failing` ignore every
 *    later cause and leave only through `teardown.finished` or `grace.expired` (`failing` also through `work.retry`).
 * 3. The caller region moves whatever the work does.
 * 4. The chart decides nothing from data. Where the next state depends on data, a policy picks the event.
 */
import { setup } from 'xstate'
import type { TaskChartEvent } from './vocabulary.ts'

const toFailed = { target: '#task.failed' } as const
const toCancelled = { target: '#task.cancelled' } as const
const toCompleted = { target: '#task.completed' } as const

/** What may stop code that runs, or children that run on after it. */
const stops = {
  'task.cancel': 'cancelling',
  'task.interrupt': 'interrupting',
} as const

export const taskMachine = setup({ types: { events: {} as TaskChartEvent } }).createMachine({
  id: 'task',
  initial: 'live',
  states: {
    live: {
      type: 'parallel',
      states: {
        work: {
          initial: 'queued',
          states: {
            /** Admitted; the user's code has not been called; holds no slot. */
            queued: {
              on: {
                'work.started': 'running',
                'task.cancel': toCancelled,
                'task.interrupt': toFailed,
                'deadline.queue': toFailed,
              },
            },
            /** The user's code runs under the task's signal. */
            running: {
              on: {
                ...stops,
                'work.completed': toCompleted,
                'work.completedWithChildren': 'finishing',
                'work.failed': toFailed,
                'work.failedWithChildren': 'failing',
                'work.retry': 'retrying',
                'child.failed': 'failing',
                'question.asked': 'waiting',
                'deadline.hard': 'timingOut',
                'deadline.attempt': 'failing',
              },
            },
            /** At least one question is open, awaited or not. All time of running stands still. */
            waiting: {
              on: {
                ...stops,
                'work.completed': toCompleted,
                'work.completedWithChildren': 'finishing',
                'work.failed': toFailed,
                'work.failedWithChildren': 'failing',
                'work.retry': 'retrying',
                'child.failed': 'failing',
                'question.asked': 'waiting',
                'question.answered': 'waiting',
                'questions.settled': 'running',
              },
            },
            /** Between two attempts; no user code runs. */
            retrying: {
              on: {
                'work.started': 'running',
                'task.cancel': toCancelled,
                'task.interrupt': toFailed,
              },
            },
            /** The task's own code has succeeded; children it owns still run. */
            finishing: {
              on: {
                ...stops,
                'children.settled': toCompleted,
                'child.failed': 'failing',
                'deadline.hard': 'timingOut',
              },
            },
            /** Its own code or a child has failed, or its attempt took too long; what it owns stops before anything follows. */
            failing: {
              on: { 'work.retry': 'retrying', 'teardown.finished': toFailed, 'grace.expired': toFailed },
            },
            /** Somebody cancelled it; its signal has fired. */
            cancelling: { on: { 'teardown.finished': toCancelled, 'grace.expired': toCancelled } },
            /** Its hard deadline has passed; its signal has fired. */
            timingOut: { on: { 'teardown.finished': toFailed, 'grace.expired': toFailed } },
            /** The process that runs it has lost it; its signal has fired. */
            interrupting: { on: { 'teardown.finished': toFailed, 'grace.expired': toFailed } },
          },
        },
        caller: {
          initial: 'attached',
          states: {
            /** Somebody awaits the call. */
            attached: {
              on: {
                'deadline.inline': 'detached',
                'task.background': 'detached',
                'task.redirect': 'detached',
                'question.asked': 'detached',
              },
            },
            /** A ticket is out. */
            detached: { on: { 'task.attach': 'attached', 'task.redirect': 'detached' } },
          },
        },
      },
    },
    completed: { type: 'final' },
    failed: { type: 'final' },
    cancelled: { type: 'final' },
  },
})

export type TaskMachine = typeof taskMachine
