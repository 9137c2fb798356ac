/** `outlive/testing`: what the library's own tests are made of, for tests of what is built on it. */
export { compareLogs, type CompareOptions, type LogDifference } from './compare-logs.ts'
export { controllableTool, type ControllableTool, type ToolCall } from './controllable-tool.ts'
export {
  faultyStore,
  type FaultPlan,
  type FaultyStore,
  type FaultyStoreOptions,
  type StoreCall,
  type StoreFault,
} from './faulty-store.ts'
export { lateStore, type LateStore } from './late-store.ts'
export { createManualClock, passTurns, type ManualClock } from './manual-clock.ts'
export { parseLog, recordLog, replay, type RecordOptions, type Replay } from './recorded-log.ts'
export { sequentialIds } from './sequential-ids.ts'
export type {
  ArrivedMessage,
  ChannelContractCase,
  ChannelUnderTest,
  ReceiverFault,
  RemoteChannelContractCase,
  RemoteChannelUnderTest,
} from './channel-case.ts'
export { CHANNEL_CONTRACT } from './channel-contract.ts'
export {
  checkHistory,
  createHistoryChecker,
  type HistoryBreach,
  type HistoryChecker,
  type HistoryFact,
} from './check-history.ts'
export {
  describeReport,
  requireSound,
  toSequenceDiagram,
  toTestFile,
  type TestFileOptions,
} from './simulation/describe-report.ts'
export {
  drawPlan,
  FAULT_KINDS,
  type FaultKind,
  type Owner,
  type SimulatedFault,
  type SimulationPlan,
  type SimulationStep,
} from './simulation/plan.ts'
export type { Random } from './simulation/random.ts'
export type { Scenario, ScenarioRule, ScenarioSource, SimulatedCall, SimulatedProcess } from './simulation/scenario.ts'
export {
  nameOfBreach,
  type RuleBreach,
  type SimulationBreach,
  type SimulationFact,
  type SimulationReport,
} from './simulation/report.ts'
export { replayPlan, simulate, type SimulationOptions } from './simulation/simulate.ts'
export { taskTrees, type BranchInput } from './simulation/task-trees.ts'
export { CLUSTER_CONTRACT } from './cluster-contract.ts'
export type { StoreContractCase } from './contract-case.ts'
export { REMOTE_CHANNEL_CONTRACT } from './remote-channel-contract.ts'
export { STORE_CONTRACT } from './store-contract.ts'
export { createLogVerifier, verifyLog, type LawBreach, type LogVerifier, type VerifyOptions } from './verify-log.ts'
