/** `outlive/machines`: the charts, the words they speak, and the pure decisions beside them. */
export { deliveryMachine, type DeliveryMachine } from './delivery.machine.ts'
export { memoise } from './memoise.ts'
export { supervisorMachine, type SupervisorMachine } from './supervisor.machine.ts'
export { taskMachine, type TaskMachine } from './task.machine.ts'
export {
  DELIVERY_CHART_EVENTS,
  FAILURE_CODES,
  SUPERVISOR_CHART_EVENTS,
  TASK_CHART_EVENTS,
  isFinalStatus,
  toDeliveryState,
  toTaskStatus,
  type CallerState,
  type DeliveryChartEvent,
  type DeliveryChartEventType,
  type DeliveryPhase,
  type DeliveryState,
  type FailureCode,
  type FinalStatus,
  type StopCause,
  type SupervisorChartEvent,
  type SupervisorPhase,
  type TaskChartEvent,
  type TaskChartEventType,
  type TaskFailure,
  type TaskStateValue,
  type TaskStatus,
  type WorkState,
} from './vocabulary.ts'
