/** `docs/errors.md`, made from the lists the library itself reads. */
import { FAILURE_CODES } from '../../../machines/vocabulary.ts'
import { ERROR_CODES, ERROR_DOCS, FAILURE_DOCS } from '../../../src/errors.ts'

/** The page. */
export function renderErrorsPage(): string {
  const errors = [...ERROR_CODES].sort().map((code) => {
    const { meaning, retryable, whatToDo } = ERROR_DOCS[code]
    return row([`\`${code}\``, meaning, retryable ? 'yes' : 'no', whatToDo])
  })
  const failures = [...FAILURE_CODES].sort().map((code) => row([`\`${code}\``, FAILURE_DOCS[code]]))
  return `# Errors

Generated from the code list by \`npm run docs\`; a test compares.

## Error codes

Everything the library throws or rejects with is a \`TaskError\` with one of these codes, except that bad options throw a
\`TypeError\`, and that a tool's own error reaches an inline caller as it is. Codes are stable; messages are not.
Ask with \`isTaskError(error, code)\`: \`instanceof\` fails when two copies of a package are loaded. "Retryable" says
whether the same call may succeed later.

| code | meaning | retryable | what to do |
| --- | --- | --- | --- |
${errors.join('\n')}

## Failure codes

Why a task ended as \`failed\`, as \`failure.code\` of its record. A cancelled task has not failed: it has a stop cause.

| code | meaning |
| --- | --- |
${failures.join('\n')}
`
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
