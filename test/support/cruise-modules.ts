/** Follows the imports of a tree of TypeScript modules and holds them against the architecture rules. */
import { join } from 'node:path'
import { cruise } from 'dependency-cruiser'
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config'
import type { ArchitectureRule } from './architecture-rules.ts'
import { REPOSITORY } from './repository.ts'

export interface CruisedModules {
  /** The TypeScript files of the folders, in order, as the cruise saw them. */
  readonly files: readonly string[]
  /** `rule: file → imported`, one for each breach. */
  readonly violations: readonly string[]
}

/** Reads all modules under the folders of `root`. */
export async function cruiseModules(
  root: string,
  folders: readonly string[],
  rules: readonly ArchitectureRule[],
): Promise<CruisedModules> {
  const { output } = await cruise(
    [...folders],
    {
      baseDir: root,
      validate: true,
      ruleSet: {
        forbidden: rules.map(({ name, why, from, to }) => ({ name, comment: why, severity: 'error', from, to })),
      },
      doNotFollow: { path: 'node_modules' },
      tsPreCompilationDeps: true,
      outputType: 'json',
    },
    {},
    { tsConfig: extractTsConfig(join(REPOSITORY, 'tsconfig.json')) },
  )
  const result: unknown = typeof output === 'string' ? JSON.parse(output) : output
  const { modules, summary } = result as Exclude<typeof output, string>
  return {
    files: modules
      .map(({ source }) => source)
      .filter((source) => folders.some((folder) => source.startsWith(`${folder}/`)))
      .sort(),
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`),
  }
}
