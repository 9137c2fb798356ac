/**
 * What makes objects expensive in the V8 of Node 20, found in the source (docs/decisions.md, 159). It costs nothing where it
 * happens once, so only what stands in a function is found.
 */
import ts from 'typescript'

export type ExpensiveShape =
  | 'added to a copy'
  | 'accessor of a literal'
  | 'function assigned'
  | 'declared in a function'

const ASSIGNMENTS: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.EqualsToken,
  ts.SyntaxKind.QuestionQuestionEqualsToken,
  ts.SyntaxKind.BarBarEqualsToken,
])

export interface Finding {
  readonly shape: ExpensiveShape
  readonly file: string
  readonly line: number
}

export function findExpensiveShapes(program: ts.Program, isAsked: (file: string) => boolean): Finding[] {
  const checker = program.getTypeChecker()
  return program
    .getSourceFiles()
    .filter(({ fileName, isDeclarationFile }) => !isDeclarationFile && isAsked(fileName))
    .flatMap((source) => {
      const found: Finding[] = []
      const visit = (node: ts.Node, isInside: boolean): void => {
        const shape = isInside ? shapeOf(node, checker) : undefined
        if (shape !== undefined) {
          const { line } = source.getLineAndCharacterOfPosition(node.getStart())
          found.push({ shape, file: source.fileName, line: line + 1 })
        }
        ts.forEachChild(node, (child) => visit(child, isInside || ts.isFunctionLike(node)))
      }
      visit(source, false)
      return found
    })
}

function shapeOf(node: ts.Node, checker: ts.TypeChecker): ExpensiveShape | undefined {
  if (ts.isObjectLiteralExpression(node)) {
    if (node.properties.some((property) => ts.isAccessor(property))) return 'accessor of a literal'
    return addsToCopy(node, checker) ? 'added to a copy' : undefined
  }
  if (ts.isClassLike(node) || isGenerator(node)) return 'declared in a function'
  return assignsFunction(node) ? 'function assigned' : undefined
}

/** Whether it begins with another object, of which nobody says that it has all the properties that follow. */
function addsToCopy({ properties: [copied, ...rest] }: ts.ObjectLiteralExpression, checker: ts.TypeChecker): boolean {
  if (copied === undefined || !ts.isSpreadAssignment(copied)) return false
  const type = checker.getTypeAtLocation(copied.expression)
  return rest.some(
    ({ name }) =>
      name !== undefined && checker.getPropertyOfType(checker.getApparentType(type), name.getText()) === undefined,
  )
}

function isGenerator(node: ts.Node): boolean {
  const isFunction = ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node) || ts.isMethodDeclaration(node)
  // The methods of a class lie on its prototype.
  return isFunction && node.asteriskToken !== undefined && !ts.isClassLike(node.parent)
}

function assignsFunction(node: ts.Node): boolean {
  if (!ts.isBinaryExpression(node) || !ASSIGNMENTS.has(node.operatorToken.kind)) return false
  const isProperty = ts.isPropertyAccessExpression(node.left) || ts.isElementAccessExpression(node.left)
  return isProperty && (ts.isArrowFunction(node.right) || ts.isFunctionExpression(node.right))
}
