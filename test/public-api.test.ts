import { join } from 'node:path'
import * as machines from 'outlive/machines'
import * as postgres from 'outlive/postgres'
import * as sqlite from 'outlive/sqlite'
import * as testing from 'outlive/testing'
import * as chat from 'outlive/channels/chat'
import * as webhook from 'outlive/channels/webhook'
import * as properties from 'outlive/testing/properties'
import * as redis from 'outlive/redis'
import * as tools from 'outlive/tools'
import * as outlive from 'outlive'
import ts from 'typescript'
import { beforeAll, describe, expect, test } from 'vitest'
import { REPOSITORY } from './support/repository.ts'

interface Door {
  readonly file: string
  readonly module: object
  /** What exists at run time. */
  readonly values: readonly string[]
  /** What exists for the compiler only. */
  readonly types: readonly string[]
}

// These lists are the public API. A name that is added here stays; one that goes needs a line in the changelog.
const DOORS: Readonly<Record<string, Door>> = {
  outlive: {
    file: 'src/index.ts',
    module: outlive,
    values: [
      'ChannelError',
      'DELIVERY_EVENT_TYPES',
      'DELIVERY_FAILURE_CODES',
      'ERROR_CODES',
      'ORDER_KEPT_MS',
      'ParentStoppingError',
      'StreamLaggedError',
      'TaskCancelledError',
      'TaskError',
      'TaskFailedError',
      'TaskNotFoundError',
      'TaskStoppedError',
      'WaitTimeoutError',
      'approval',
      'callbackChannel',
      'consoleChannel',
      'createTaskSupervisor',
      'currentTask',
      'defineTool',
      'fileChannel',
      'groupCommits',
      'isDeliveryEvent',
      'isFinalStatus',
      'isTaskError',
      'isTaskEvent',
      'memoryStore',
      'shutdownOnSignals',
      'toDigest',
      'toModelMessage',
    ],
    types: [
      'AnyToolDefinition',
      'Approval',
      'AskOptions',
      'Attachment',
      'AttachmentKind',
      'AuditPage',
      'AuditedTask',
      'Awaitable',
      'BudgetAmounts',
      'BudgetOptions',
      'CallOptions',
      'CancelOptions',
      'CancelReport',
      'Channel',
      'ChannelCall',
      'ChannelLimits',
      'ChannelMessage',
      'ChannelPresence',
      'ChannelReceipt',
      'ChannelSend',
      'Claim',
      'Clock',
      'ClockTimer',
      'ClusterStore',
      'Commit',
      'CommitGroupsOptions',
      'CommitReply',
      'ConsoleChannelOptions',
      'ConsoleStream',
      'Correlation',
      'DeadDeliveries',
      'DeadLetter',
      'DeadLetters',
      'DeadNode',
      'DeliveryEvent',
      'DeliveryEventData',
      'DeliveryEventType',
      'DeliveryFailure',
      'DeliveryFailureCode',
      'DeliveryKind',
      'DeliveryLine',
      'DeliveryOptions',
      'DeliveryPage',
      'DeliveryPolicy',
      'DeliveryQuery',
      'DeliveryRecord',
      'DeliveryRef',
      'DeliveryReply',
      'DeliveryRequest',
      'DeliveryTarget',
      'DigestNoticeView',
      'DigestOptions',
      'Durability',
      'EndMessage',
      'EndNoticeView',
      'ErrorCode',
      'FeedEntry',
      'FeedPage',
      'FinalStatus',
      'Health',
      'IdSource',
      'Inspector',
      'ListFilter',
      'ListPage',
      'ListQuery',
      'Logger',
      'MessageSender',
      'NoticeOptions',
      'NoticeSettings',
      'NoticeTemplates',
      'OnChildFailure',
      'OnParentEnd',
      'OpenQuestion',
      'Operator',
      'Order',
      'OutboxEntry',
      'OwnerInbox',
      'OwnerMessage',
      'OwnerNews',
      'PreparedTask',
      'ProgressReport',
      'Projection',
      'PruneReply',
      'QuestionMessage',
      'QuestionNoticeView',
      'Recipient',
      'ReconcileReport',
      'RestartIntensity',
      'RetentionOptions',
      'RetryExhausted',
      'RetryPolicy',
      'RunCall',
      'RunOutcome',
      'SendReceipt',
      'SentMessage',
      'Session',
      'SessionOptions',
      'ShutdownOptions',
      'ShutdownReport',
      'SignalOptions',
      'SpawnCall',
      'StartNoticeView',
      'StopCause',
      'StoreHint',
      'StoredDeliveryEvent',
      'StoredEvent',
      'StoredRecord',
      'StreamFilter',
      'StreamGap',
      'StreamHeartbeat',
      'StreamItem',
      'StreamMark',
      'StreamOptions',
      'StreamPaused',
      'StreamReset',
      'SupervisorStats',
      'TaskBudget',
      'TaskContext',
      'TaskEvent',
      'TaskEventData',
      'TaskEventType',
      'TaskFailure',
      'TaskHandle',
      'TaskInbox',
      'TaskMessage',
      'TaskPage',
      'TaskProgress',
      'TaskRecord',
      'TaskStats',
      'TaskStatus',
      'TaskStore',
      'TaskSupervisor',
      'TaskSupervisorOptions',
      'TaskUsage',
      'Ticket',
      'Tool',
      'ToolDefinition',
      'ToolFunction',
      'ToolPolicy',
      'WaitOptions',
      'WakeOptions',
    ],
  },
  'outlive/machines': {
    file: 'machines/index.ts',
    module: machines,
    values: [
      'DELIVERY_CHART_EVENTS',
      'FAILURE_CODES',
      'SUPERVISOR_CHART_EVENTS',
      'TASK_CHART_EVENTS',
      'deliveryMachine',
      'isFinalStatus',
      'memoise',
      'supervisorMachine',
      'taskMachine',
      'toDeliveryState',
      'toTaskStatus',
    ],
    types: [
      'CallerState',
      'DeliveryChartEvent',
      'DeliveryChartEventType',
      'DeliveryMachine',
      'DeliveryPhase',
      'DeliveryState',
      'FailureCode',
      'FinalStatus',
      'StopCause',
      'SupervisorChartEvent',
      'SupervisorMachine',
      'SupervisorPhase',
      'TaskChartEvent',
      'TaskChartEventType',
      'TaskFailure',
      'TaskMachine',
      'TaskStateValue',
      'TaskStatus',
      'WorkState',
    ],
  },
  'outlive/redis': {
    file: 'src/adapters/redis/index.ts',
    module: redis,
    values: ['redisStore'],
    types: ['RedisClient', 'RedisClientFactory', 'RedisStore', 'RedisStoreOptions'],
  },
  'outlive/tools': {
    file: 'src/faces/tools/index.ts',
    module: tools,
    values: ['controlTools', 'ticketText'],
    types: [
      'ControlTool',
      'ControlToolAnnotations',
      'ControlToolArguments',
      'ControlToolName',
      'ControlToolsOptions',
      'JsonSchema',
      'StartableTool',
    ],
  },
  'outlive/sqlite': {
    file: 'src/adapters/sql/sqlite.ts',
    module: sqlite,
    values: ['sqliteStore'],
    types: ['DurableStore', 'SqliteDatabase', 'SqliteStatement', 'SqliteStoreOptions'],
  },
  'outlive/postgres': {
    file: 'src/adapters/sql/postgres.ts',
    module: postgres,
    values: ['postgresStore'],
    types: [
      'DurableStore',
      'PostgresClient',
      'PostgresNotification',
      'PostgresPool',
      'PostgresQuery',
      'PostgresResult',
      'PostgresStoreOptions',
    ],
  },
  'outlive/channels/chat': {
    file: 'src/adapters/channels/chat/index.ts',
    module: chat,
    values: ['SLACK_CLIENT_OPTIONS', 'chatChannel'],
    types: ['ChatAdapter', 'ChatChannelOptions', 'ChatInstance', 'ChatPlatform', 'ChatPost'],
  },
  'outlive/channels/webhook': {
    file: 'src/adapters/channels/webhook/index.ts',
    module: webhook,
    values: ['webhookChannel'],
    types: ['WebhookChannelOptions', 'WebhookEndpoint', 'WebhookSecrets'],
  },
  'outlive/testing/properties': {
    file: 'src/testing/properties/index.ts',
    module: properties,
    values: ['chartPaths', 'chartRun', 'createChartCoverage', 'taskCommands', 'taskEvents', 'taskTreeCalls'],
    types: [
      'ChartCoverage',
      'ChartEvent',
      'ChartModel',
      'ChartPath',
      'ChartState',
      'ChartUnderTest',
      'CoverageCount',
      'CoverageReport',
      'TaskCommand',
      'TaskCommandsOptions',
      'TaskEventsOptions',
      'TaskTreeCallsOptions',
    ],
  },
  'outlive/testing': {
    file: 'src/testing/index.ts',
    module: testing,
    values: [
      'CHANNEL_CONTRACT',
      'CLUSTER_CONTRACT',
      'REMOTE_CHANNEL_CONTRACT',
      'FAULT_KINDS',
      'STORE_CONTRACT',
      'checkHistory',
      'compareLogs',
      'controllableTool',
      'createHistoryChecker',
      'createLogVerifier',
      'createManualClock',
      'describeReport',
      'drawPlan',
      'faultyStore',
      'lateStore',
      'nameOfBreach',
      'parseLog',
      'passTurns',
      'recordLog',
      'replay',
      'replayPlan',
      'requireSound',
      'sequentialIds',
      'simulate',
      'taskTrees',
      'toSequenceDiagram',
      'toTestFile',
      'verifyLog',
    ],
    types: [
      'ArrivedMessage',
      'ChannelContractCase',
      'ChannelUnderTest',
      'BranchInput',
      'CompareOptions',
      'ControllableTool',
      'FaultKind',
      'FaultPlan',
      'FaultyStore',
      'FaultyStoreOptions',
      'HistoryBreach',
      'HistoryChecker',
      'HistoryFact',
      'LateStore',
      'LawBreach',
      'LogDifference',
      'LogVerifier',
      'ManualClock',
      'ReceiverFault',
      'RemoteChannelContractCase',
      'RemoteChannelUnderTest',
      'Owner',
      'Random',
      'RecordOptions',
      'Replay',
      'RuleBreach',
      'Scenario',
      'ScenarioRule',
      'ScenarioSource',
      'SimulatedCall',
      'SimulatedFault',
      'SimulatedProcess',
      'SimulationBreach',
      'SimulationFact',
      'TestFileOptions',
      'SimulationOptions',
      'SimulationPlan',
      'SimulationReport',
      'SimulationStep',
      'StoreCall',
      'StoreContractCase',
      'StoreFault',
      'ToolCall',
      'VerifyOptions',
    ],
  },
}

/** Everything behind a door: its names, and the members of all types of ours that can be reached from them. */
interface Reachable {
  readonly values: string[]
  readonly types: string[]
  /** `Type.member` */
  readonly members: string[]
  /** Members whose type is `any`. */
  readonly untyped: string[]
}

function readDoor(program: ts.Program, file: string): Reachable {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(join(REPOSITORY, file))
  const door = source && checker.getSymbolAtLocation(source)
  if (source === undefined || door === undefined) throw new Error(`${file} is no module`)
  const found: Reachable = { values: [], types: [], members: [], untyped: [] }
  const visited = new Set<ts.Type>()
  const isOurs = (symbol: ts.Symbol): boolean =>
    (symbol.declarations ?? []).some((declaration) => {
      const { fileName } = declaration.getSourceFile()
      return fileName.startsWith(REPOSITORY) && !fileName.includes('/node_modules/')
    })

  const visit = (type: ts.Type, path: string): void => {
    if (visited.has(type)) return
    visited.add(type)
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part, path)
    for (const argument of [
      ...checker.getTypeArguments(type as ts.TypeReference),
      ...(type.aliasTypeArguments ?? []),
    ]) {
      visit(argument, path)
    }
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      visit(signature.getReturnType(), path)
      for (const parameter of signature.getParameters()) visit(checker.getTypeOfSymbol(parameter), path)
    }
    for (const member of type.getProperties().filter(isOurs)) {
      const name = `${path}.${member.name}`
      found.members.push(name)
      const memberType = checker.getTypeOfSymbol(member)
      if ((memberType.flags & ts.TypeFlags.Any) !== 0) found.untyped.push(name)
      visit(memberType, name)
    }
  }

  for (const symbol of checker.getExportsOfModule(door)) {
    const target = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
    const isValue = (target.flags & ts.SymbolFlags.Value) !== 0
    const isTypeOnly = (symbol.declarations ?? []).some(
      (node) => ts.isExportSpecifier(node) && ts.isTypeOnlyExportDeclaration(node),
    )
    found[isValue && !isTypeOnly ? 'values' : 'types'].push(symbol.name)
    if (isValue) visit(checker.getTypeOfSymbol(target), symbol.name)
    if ((target.flags & ts.SymbolFlags.Type) !== 0) visit(checker.getDeclaredTypeOfSymbol(target), symbol.name)
  }
  return found
}

const behind = new Map<string, Reachable>()

beforeAll(() => {
  const config = ts.getParsedCommandLineOfConfigFile(join(REPOSITORY, 'tsconfig.json'), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'))
    },
  })
  if (config === undefined) throw new Error('there is no tsconfig.json')
  const files = Object.values(DOORS).map(({ file }) => join(REPOSITORY, file))
  const program = ts.createProgram(files, config.options)
  for (const [name, { file }] of Object.entries(DOORS)) behind.set(name, readDoor(program, file))
})

describe.each(Object.entries(DOORS))('%s', (name, door) => {
  test('exports these values and types, and nothing else', () => {
    const found = behind.get(name)
    expect(Object.keys(door.module).sort()).toEqual([...door.values].sort())
    expect(found?.values.sort()).toEqual([...door.values].sort())
    expect(found?.types.sort()).toEqual([...door.types].sort())
  })

  test('nothing that can be reached from it starts with an underscore or is of type any', () => {
    const { values, types, members, untyped } = behind.get(name) ?? { values: [], types: [], members: [], untyped: [] }
    expect(members.length).toBeGreaterThan(name === 'outlive' ? 200 : 20)
    const names = [...values, ...types, ...members]
    expect(names.filter((path) => /(^|\.)_/.test(path))).toEqual([])
    expect(untyped).toEqual([])
  })
})

test('no object that the library hands out has a member that starts with an underscore', async () => {
  const tasks = outlive.createTaskSupervisor()
  const session = tasks.session({ owner: 'ann' })
  const task = await session.spawn((_input: undefined, ctx) => namesOf(ctx), undefined)
  const ofContext = await task.result()
  await session.wait(task.taskId)
  const events: outlive.StreamItem[] = []
  for await (const event of task.events()) events.push(event)
  const handed = [
    tasks,
    session,
    tasks.operator,
    task,
    await task.record(),
    await session.stats(),
    ...tools.controlTools(session),
    ...events,
    outlive.memoryStore(),
  ]
  const names = [...ofContext, ...handed.flatMap(namesOf)]
  await tasks.shutdown()
  expect(names.length).toBeGreaterThan(80)
  expect(names.filter((member) => member.startsWith('_'))).toEqual([])
})

/** Own and inherited names, but for those of every object. */
function namesOf(target: object): string[] {
  const names: string[] = []
  for (
    let at: object | null = target;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    names.push(...Object.getOwnPropertyNames(at))
  }
  return names
}
