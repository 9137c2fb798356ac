/** `outlive/testing`: what the library's own tests are made of, for tests of what is built on it. */
export { controllableTool, type ControllableTool, type ToolCall } from './controllable-tool.ts'
export { faultyStore, type FaultPlan, type FaultyStore, type StoreCall, type StoreFault } from './faulty-store.ts'
export { lateStore, type LateStore } from './late-store.ts'
export { createManualClock, passTurns, type ManualClock } from './manual-clock.ts'
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
export { CLUSTER_CONTRACT } from './cluster-contract.ts'
export type { StoreContractCase } from './contract-case.ts'
export { REMOTE_CHANNEL_CONTRACT } from './remote-channel-contract.ts'
export { STORE_CONTRACT } from './store-contract.ts'
export { verifyLog, type LawBreach, type VerifyOptions } from './verify-log.ts'
