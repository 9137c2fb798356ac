/** Orders to the charts of tasks. Ends that come by them are worked through in a loop, never in a recursion. */
import { TASK_CHART_EVENTS, type TaskChartEventType } from '../../machines/vocabulary.ts'
import type { LiveTask } from './live-task.ts'
import { isAttached } from './task-status.ts'
import type { SupervisorActor } from './supervisor-actor.ts'

const CHART_EVENTS = Object.fromEntries(TASK_CHART_EVENTS.map((type) => [type, Object.freeze({ type })])) as {
  readonly [Type in TaskChartEventType]: { readonly type: Type }
}

/** Tells the chart, and sees to everything that ends by it. */
export type SendToChart = (task: LiveTask, type: TaskChartEventType) => void

export function createSendToChart(parts: {
  readonly supervisor: SupervisorActor
  /** Sees to a task that has become final. */
  readonly finalise: (task: LiveTask) => void
}): SendToChart {
  const { supervisor, finalise } = parts
  let isEnding = false
  return (task, type) => {
    const { actor } = task
    if (actor === undefined) return
    task.lastCaller = isAttached(task) ? 'attached' : 'detached'
    actor.send(CHART_EVENTS[type])
    if (isEnding) return
    isEnding = true
    try {
      for (let ended = supervisor.takeEnded(); ended !== undefined; ended = supervisor.takeEnded()) finalise(ended)
    } finally {
      isEnding = false
    }
  }
}
