/** `outlive/testing`: what the library's own tests are made of. */
export { controllableTool, type ControllableTool, type ToolCall } from './controllable-tool.ts'
export { lateStore, type LateStore } from './late-store.ts'
export { createManualClock, passTurns, type ManualClock } from './manual-clock.ts'
export { sequentialIds } from './sequential-ids.ts'
export { CLUSTER_CONTRACT } from './cluster-contract.ts'
export type { StoreContractCase } from './contract-case.ts'
export { STORE_CONTRACT } from './store-contract.ts'
export { verifyLog, type LawBreach, type VerifyOptions } from './verify-log.ts'
