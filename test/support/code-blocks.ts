/** The TypeScript examples in Markdown pages and in doc comments, as files that can be checked and run. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { REPOSITORY } from './repository.ts'

export interface CodeBlock {
  /** The page or source file, relative to the root of the repository. */
  readonly source: string
  /** The line of its first line of code, from 1. */
  readonly line: number
  readonly code: string
  /** The words after `ts` on the opening fence. */
  readonly flags: readonly string[]
}

export interface WrittenBlock extends CodeBlock {
  readonly file: string
}

const FENCE = /^(?<prefix>\s*(?:\* ?)?)```(?<info>.*)$/

/** All blocks of a file whose fence says `ts`, in order. Lines of a doc comment lose their star. */
export function readCodeBlocks(source: string): CodeBlock[] {
  const lines = readFileSync(join(REPOSITORY, source), 'utf8').split('\n')
  const blocks: CodeBlock[] = []
  let open: { prefix: string; info: readonly string[]; line: number; code: string[] } | undefined
  lines.forEach((line, index) => {
    const fence = FENCE.exec(line)?.groups
    if (open === undefined) {
      if (fence !== undefined) {
        const info = (fence['info'] ?? '').trim().split(/\s+/)
        open = { prefix: fence['prefix'] ?? '', info, line: index + 2, code: [] }
      }
    } else if (fence !== undefined) {
      const [language, ...flags] = open.info
      if (language === 'ts') blocks.push({ source, line: open.line, code: open.code.join('\n'), flags })
      open = undefined
    } else {
      open.code.push(
        line.startsWith(open.prefix) ? line.slice(open.prefix.length) : line.trimStart().replace(/^\*$/, ''),
      )
    }
  })
  if (open !== undefined) throw new Error(`${source}: the block before line ${open.line} is never closed`)
  return blocks
}

/** Writes each block as a module, with its code on the line where it stands in its source. */
export function writeCodeBlocks(folder: string, blocks: readonly CodeBlock[]): WrittenBlock[] {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return blocks.map((block) => {
    const file = join(folder, `${block.source.replaceAll(/[^\w]+/g, '-')}-${block.line}.ts`)
    // A block without imports is a module all the same.
    writeFileSync(file, `${'\n'.repeat(block.line - 1)}${block.code}\nexport {}\n`)
    return { ...block, file }
  })
}

/** What the compiler says about the blocks, as `source:line: message`. */
export function typeCheckCodeBlocks(blocks: readonly WrittenBlock[]): string[] {
  const configFile = join(REPOSITORY, 'test/tsconfig.json')
  const config = ts.getParsedCommandLineOfConfigFile(configFile, undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'))
    },
  })
  if (config === undefined) throw new Error(`${configFile} cannot be read`)
  const program = ts.createProgram(
    blocks.map(({ file }) => file),
    // An example may show a value without using it.
    { ...config.options, noUnusedLocals: false, noUnusedParameters: false },
  )
  const blocksByFile = new Map(blocks.map((block) => [block.file, block]))
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n')
    if (file === undefined || start === undefined) return message
    const line = file.getLineAndCharacterOfPosition(start).line + 1
    return `${blocksByFile.get(file.fileName)?.source ?? file.fileName}:${line}: ${message}`
  })
}
