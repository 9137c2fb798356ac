/** A port whose answers always come later, as everything does that crosses a network. */
export type Promised<Port> = {
  readonly [Name in keyof Port]: Port[Name] extends (...args: infer Args) => infer Answer
    ? Promise<never> extends Answer
      ? (...args: Args) => Promise<Awaited<Answer>>
      : Port[Name]
    : Port[Name]
}
