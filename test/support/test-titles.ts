/** The titles of the tests in a file, read from its source. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { REPOSITORY } from './repository.ts'

export interface TestTitle {
  readonly title: string
  /** Whether the test is written so that it may not run: `skip`, `todo`, `skipIf`, `runIf`, `fails`. */
  readonly mayNotRun: boolean
}

/** All titles that stand as text, with `${…}` as it is written, in calls of `test` or `it`, `test.each(…)(…)` and `test.prop(…)(…)` among them. */
export function readTestTitles(file: string): TestTitle[] {
  const text = readFileSync(join(REPOSITORY, file), 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest)
  const titles: TestTitle[] = []
  const visit = (node: ts.Node): void => {
    const [title] = ts.isCallExpression(node) ? node.arguments : []
    if (
      ts.isCallExpression(node) &&
      title !== undefined &&
      (ts.isStringLiteralLike(title) || ts.isTemplateExpression(title))
    ) {
      const path = pathOf(node.expression)
      if (path[0] === 'test' || path[0] === 'it') {
        titles.push({
          title: ts.isTemplateExpression(title) ? title.getText(source).slice(1, -1) : title.text,
          mayNotRun: path.some((name) => /^(skip|todo|fails|skipIf|runIf)$/.test(name)),
        })
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return titles
}

/** The names along `test.concurrent.each(…)`. */
function pathOf(callee: ts.Expression): string[] {
  if (ts.isIdentifier(callee)) return [callee.text]
  if (ts.isPropertyAccessExpression(callee)) return [...pathOf(callee.expression), callee.name.text]
  if (ts.isCallExpression(callee)) return pathOf(callee.expression)
  if (ts.isTaggedTemplateExpression(callee)) return pathOf(callee.tag)
  return []
}
