import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'
import { findExpensiveShapes } from './support/object-shapes.ts'
import { REPOSITORY } from './support/repository.ts'

/** What is done for each task. Adapters of servers, channels and contract suites do what costs more than any object. */
const ASKED =
  /\/(machines|src)\/(?!adapters\/(channels|redis|sql)\/|faces\/|testing\/(properties\/|[a-z-]*(contract|case)))/

function programOf(files: readonly string[], options: ts.CompilerOptions): ts.Program {
  return ts.createProgram({ rootNames: files, options: { ...options, noEmit: true } })
}

test('nothing that is made for each task is made the expensive way', () => {
  const file = join(REPOSITORY, 'tsconfig.json')
  const { config } = ts.readConfigFile(file, ts.sys.readFile) as { readonly config: unknown }
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, REPOSITORY)
  const asked = fileNames.filter((name) => ASKED.test(name))
  expect(asked.length).toBeGreaterThan(150)
  const found = findExpensiveShapes(programOf(fileNames, options), (name) => ASKED.test(name))
  expect(found.map(({ shape, file, line }) => `${file.slice(REPOSITORY.length + 1)}:${line} ${shape}`)).toEqual([])
})

test.each([
  { shape: 'added to a copy', code: 'function f(a: { x: number }) { return { ...a, y: 1 } }' },
  { shape: 'accessor of a literal', code: 'function f(a: number) { return { get size() { return a } } }' },
  { shape: 'function assigned', code: 'function f(a: { g?: () => void }) { a.g = () => {} }' },
  { shape: 'declared in a function', code: 'function f() { return class {} }' },
  { shape: 'declared in a function', code: 'function f() { return { *g() { yield 1 } } }' },
  { shape: undefined, code: 'function f(a: { x: number; y: number }) { return { ...a, y: 1 } }' },
  { shape: undefined, code: 'function f(a: { x: number }) { return { y: 1, ...a } }' },
  { shape: undefined, code: 'function f(a: { g?: () => void }) { const g = () => {}; a.g = g }' },
  { shape: undefined, code: 'class A { *g() { yield 1 } get h() { return 1 } }' },
  { shape: undefined, code: 'const a = { x: 1 }; const b = { ...a, y: 1 }' },
])('$code is $shape', ({ shape, code }) => {
  const host = ts.createCompilerHost({})
  const source = ts.createSourceFile('/code.ts', code, ts.ScriptTarget.ES2022, true)
  const program = ts.createProgram({
    rootNames: ['/code.ts'],
    options: { strict: true },
    host: {
      ...host,
      getSourceFile: (name, ...rest) => (name === '/code.ts' ? source : host.getSourceFile(name, ...rest)),
    },
  })
  const found = findExpensiveShapes(program, (name) => name === '/code.ts')
  expect(found.map((finding) => finding.shape)).toEqual(shape === undefined ? [] : [shape])
})
