/**
 * Which file may import which. Paths are relative to the root of the repository. Each rule carries an import that breaks
 * it, so that a test can prove that the rule still sees anything.
 */
import type { IRegularForbiddenRuleType } from 'dependency-cruiser'

export interface ArchitectureRule {
  readonly name: string
  readonly why: string
  readonly from: IRegularForbiddenRuleType['from']
  readonly to: IRegularForbiddenRuleType['to']
  readonly brokenBy: Violation
}

/** A module that imports something it must not. */
interface Violation {
  readonly file: string
  /** A file, or the name of a package. */
  readonly imports: string
  /** Whether the imported file imports the module back. */
  readonly mutual?: true
}

/** The gate, and what it is made of. */
const SESSION_FILES = [
  'session',
  'operator',
  'ownerless',
  'task-door',
  'task-places',
  'task-recipients',
  'verbs/[^/]+',
  'calls/[^/]+',
  'handle',
  'dead-deliveries',
  'queries',
  'list-cursor',
  'audit',
  'health',
  'stats',
].join('|')

/** The layers from the top: a layer imports those below it, and itself. */
export const LAYERS = [
  { name: 'index', path: '^src/index\\.ts$', file: 'src/index.ts' },
  {
    name: 'shutdown-on-signals',
    path: '^src/shutdown-on-signals\\.ts$',
    file: 'src/shutdown-on-signals.ts',
  },
  { name: 'task-supervisor', path: '^src/(task-supervisor|supervisor-options)\\.ts$', file: 'src/task-supervisor.ts' },
  {
    name: 'session',
    path: `^src/(${SESSION_FILES})\\.ts$`,
    file: 'src/session.ts',
  },
  { name: 'runtime', path: '^src/runtime/', file: 'src/runtime/journal/journal.ts' },
  { name: 'events-and-delivery', path: '^src/(events|delivery)/', file: 'src/events/hub.ts' },
  {
    name: 'options',
    path: '^src/(options|settings|tool|schema|approval|kept-text|fenced-text|markdown-lines|abort-listeners|told-error|commit-groups|fair-queue|within|wrapped-store)\\.ts$',
    file: 'src/options.ts',
  },
  { name: 'ports', path: '^src/(ports/|(errors|channel-error)\\.ts$)', file: 'src/ports/clock.ts' },
  { name: 'machines', path: '^machines/', file: 'machines/vocabulary.ts' },
] as const

/** What stands around the layers: reached from the composition root and from subpaths, never from a layer. */
export const AROUND = ['^src/(adapters|faces)/[^/]+/', '^src/testing/']

/** What everything below the composition root may be written in terms of. */
const INNER =
  '^(machines/|src/(ports/|(errors|channel-error|options|settings|tool|schema|approval|kept-text|fenced-text|markdown-lines|abort-listeners|told-error|commit-groups|fair-queue|within|wrapped-store)\\.ts$))'

/** The only modules that may import a package; `typesFrom` may name its types as well. */
const DOORS: readonly { readonly npm: string; readonly path: string; readonly typesFrom?: string }[] = [
  {
    npm: 'xstate',
    path: '^(machines/|src/(runtime|delivery|testing/properties)/)',
    typesFrom: '^src/task-supervisor\\.ts$',
  },
  { npm: 'rxjs', path: '^src/events/', typesFrom: '^src/' },
  { npm: '@standard-schema/spec', path: '^(?!)', typesFrom: '^src/' },
  { npm: 'eventemitter3', path: '^src/events/' },
  { npm: 'nanoid', path: '^src/adapters/system/' },
  { npm: 'ioredis', path: '^src/adapters/redis/' },
  { npm: 'kysely', path: '^src/adapters/sql/' },
  { npm: 'libsql', path: '^src/adapters/sql/sqlite-store\\.ts$' },
  { npm: 'pg', path: '^src/adapters/sql/postgres-store\\.ts$' },
  { npm: 'standardwebhooks', path: '^src/adapters/channels/webhook/' },
  { npm: 'ipaddr.js', path: '^src/adapters/channels/webhook/' },
  { npm: 'chat', path: '^src/adapters/channels/chat/' },
  { npm: '@chat-adapter/slack', path: '^src/adapters/channels/chat/chat-adapter\\.ts$' },
  { npm: '@chat-adapter/discord', path: '^src/adapters/channels/chat/chat-adapter\\.ts$' },
  { npm: '@chat-adapter/telegram', path: '^src/adapters/channels/chat/chat-adapter\\.ts$' },
  { npm: '@chat-adapter/teams', path: '^src/adapters/channels/chat/chat-adapter\\.ts$' },
  { npm: 'fast-check', path: '^src/testing/properties/' },
  { npm: 'bullmq', path: '^src/adapters/bullmq/' },
  { npm: 'hono', path: '^src/faces/server/' },
]

/** A package as the import resolves: into `node_modules`, or to its bare name where it is not installed. */
function pathOfPackage(npm: string): string {
  return `(^|/)node_modules/(@types/)?${npm}/|^${npm}(/|$)`
}

const layerRules = LAYERS.slice(1).map((layer, index): ArchitectureRule => {
  return {
    name: `${layer.name}-imports-downwards`,
    why: 'Imports point one way: index, shutdown-on-signals, task-supervisor, session, runtime, events and delivery, options, ports, machines.',
    from: { path: layer.path },
    to: { path: LAYERS.slice(0, index + 1).map(({ path }) => path) },
    brokenBy: { file: layer.file, imports: (LAYERS[index] ?? layer).file },
  }
})

const doorRules = DOORS.flatMap(({ npm, path, typesFrom }): ArchitectureRule[] => {
  const to = { path: pathOfPackage(npm) }
  const why = 'Each package has one door.'
  const doors = typesFrom === undefined ? [path] : [path, typesFrom]
  const rules: ArchitectureRule[] = [
    {
      name: `door-of-${npm}`,
      why,
      from: { path: '^(src|machines)/', pathNot: doors },
      to,
      brokenBy: { file: typesFrom === '^src/' ? 'machines/vocabulary.ts' : 'src/options.ts', imports: npm },
    },
  ]
  if (typesFrom !== undefined) {
    rules.push({
      name: `types-only-of-${npm}`,
      why,
      from: { path: typesFrom, pathNot: [path] },
      to: { ...to, dependencyTypesNot: ['type-only'] },
      brokenBy: { file: typesFrom === '^src/' ? 'src/session.ts' : 'src/task-supervisor.ts', imports: npm },
    })
  }
  return rules
})

export const ARCHITECTURE_RULES: readonly ArchitectureRule[] = [
  {
    name: 'no-cycles',
    why: 'A cycle has no order in which it can be read.',
    from: {},
    to: { circular: true },
    brokenBy: { file: 'src/runtime/journal/journal.ts', imports: 'src/runtime/shutdown.ts', mutual: true },
  },
  {
    name: 'imports-exist',
    why: 'An import that cannot be resolved is seen by no other rule.',
    from: {},
    to: { couldNotResolve: true },
    brokenBy: { file: 'src/session.ts', imports: 'no-such-package' },
  },
  {
    name: 'machines-stand-alone',
    why: 'Charts, their words and the pure decisions import xstate and each other only, and so run anywhere.',
    from: { path: '^machines/' },
    to: { pathNot: ['^machines/', pathOfPackage('xstate')] },
    brokenBy: { file: 'machines/vocabulary.ts', imports: 'node:timers' },
  },
  ...layerRules,
  {
    name: 'events-and-delivery-are-apart',
    why: 'Neighbours do not import each other.',
    from: { path: '^src/(events|delivery)/' },
    to: { path: '^src/(events|delivery)/', pathNot: '^src/$1/' },
    brokenBy: { file: 'src/delivery/notices.ts', imports: 'src/events/hub.ts' },
  },
  {
    name: 'session-keeps-to-the-engine',
    why: 'The gate knows the engine behind it; what goes around the engine is put together by the composition root.',
    from: {
      path: `^src/(${SESSION_FILES}|options|settings|tool|schema|approval|errors)\\.ts$|^src/(runtime|events|delivery|ports)/`,
    },
    to: { path: '^src/(adapters|faces)/' },
    brokenBy: { file: 'src/runtime/journal/journal.ts', imports: 'src/adapters/memory/memory-store.ts' },
  },
  {
    name: 'adapters-point-inward',
    why: 'An adapter serves a port; it knows neither the engine nor another adapter.',
    from: { path: '^src/adapters/([^/]+)/' },
    to: { path: '^(src|machines)/', pathNot: [INNER, '^src/adapters/$1/'] },
    brokenBy: { file: 'src/adapters/sql/sql-store.ts', imports: 'src/adapters/memory/memory-store.ts' },
  },
  {
    name: 'faces-point-inward',
    why: 'A face translates for a session; it knows neither an adapter nor another face, and of the runtime only whose code is running.',
    from: { path: '^src/faces/([^/]+)' },
    to: {
      path: '^(src|machines)/',
      pathNot: [
        INNER,
        '^src/faces/$1(/|$)',
        '^src/(session|operator|audit|dead-deliveries|handle|task-supervisor)\\.ts$',
        '^src/runtime/ambient\\.ts$',
      ],
    },
    brokenBy: { file: 'src/faces/cli/main.ts', imports: 'src/faces/tools/control-tools.ts' },
  },
  {
    name: 'nothing-imports-faces',
    why: 'Faces are reached through their own subpath only.',
    from: { path: '^(src|machines)/', pathNot: '^src/faces/' },
    to: { path: '^src/faces/' },
    brokenBy: { file: 'src/task-supervisor.ts', imports: 'src/faces/tools/control-tools.ts' },
  },
  {
    name: 'testing-is-for-tests',
    why: 'What is made for tests does not run in production.',
    from: { path: '^(src|machines)/', pathNot: '^src/testing/' },
    to: { path: '^src/testing/' },
    brokenBy: { file: 'src/runtime/deadlines.ts', imports: 'src/testing/manual-clock.ts' },
  },
  {
    name: 'sources-import-sources',
    why: 'Tests import the library, never the other way round.',
    from: { path: '^(src|machines)/' },
    to: { path: '^(test|benchmarks|docs|dist)/' },
    brokenBy: { file: 'src/testing/manual-clock.ts', imports: 'test/support/engine.ts' },
  },
  ...doorRules,
  {
    name: 'packages-have-doors',
    why: 'A package that nobody gave a door is not imported.',
    from: { path: '^(src|machines)/' },
    to: {
      pathNot: ['^(src|machines|test|benchmarks|docs|dist)/', ...DOORS.map(({ npm }) => pathOfPackage(npm))],
      dependencyTypesNot: ['core', 'unknown', 'undetermined'],
    },
    brokenBy: { file: 'src/options.ts', imports: 'zod' },
  },
]
