/** `outlive/testing/properties`: properties of charts and of trees of tasks, for fast-check. */
export type { ChartEvent, ChartState, ChartUnderTest } from './chart.ts'
export { createChartCoverage, type ChartCoverage, type CoverageCount, type CoverageReport } from './chart-coverage.ts'
export { chartPaths, type ChartPath } from './chart-paths.ts'
export {
  chartRun,
  taskCommands,
  taskEvents,
  type ChartModel,
  type TaskCommand,
  type TaskCommandsOptions,
  type TaskEventsOptions,
} from './task-commands.ts'
export { taskTreeCalls, type TaskTreeCallsOptions } from './task-tree-calls.ts'
