/** Checks of options and arguments. A bad one is a `TypeError` that names the option and the value it got. */

/** The longest text of a value that a message quotes. */
const MAX_QUOTED_CHARS = 80

/** A value as an error message may quote it: short, and safe whatever the value does. */
export function quote(value: unknown): string {
  let text: string
  try {
    text =
      typeof value === 'string'
        ? JSON.stringify(value.slice(0, MAX_QUOTED_CHARS))
        : typeof value === 'function'
          ? 'a function'
          : String(value)
  } catch {
    text = typeof value
  }
  return text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}…` : text
}

export function badOption(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${expected}, got ${quote(value)}`)
}

interface DurationRules {
  readonly mayBeInfinite?: boolean
  readonly mayBeZero?: boolean
}

/** A duration in milliseconds: positive and finite, unless the rules say more. */
export function checkDuration(name: string, value: unknown, rules: DurationRules = {}): number {
  const isFine =
    typeof value === 'number' &&
    (value > 0 || (value === 0 && rules.mayBeZero === true)) &&
    (Number.isFinite(value) || (value === Infinity && rules.mayBeInfinite === true))
  if (isFine) return value
  const expected = `a ${rules.mayBeZero === true ? 'non-negative' : 'positive'} number of milliseconds`
  throw badOption(name, rules.mayBeInfinite === true ? `${expected} or Infinity` : expected, value)
}

/** A limit: a positive whole number, or Infinity. */
export function checkLimit(name: string, value: unknown): number {
  if (typeof value === 'number' && value >= 1 && (Number.isInteger(value) || value === Infinity)) return value
  throw badOption(name, 'a positive whole number or Infinity', value)
}

/** A whole number from `min` to `max`. */
export function checkWhole(
  name: string,
  value: unknown,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw badOption(name, `a whole number from ${min} to ${max}`, value)
}

export function checkChoice<Choice extends string>(name: string, value: unknown, choices: readonly Choice[]): Choice {
  const found = choices.find((choice) => choice === value)
  if (found !== undefined) return found
  throw badOption(name, `one of ${choices.join(', ')}`, value)
}

/** A function; what it takes and gives is its caller's to see to. */
export function checkFunction<Checked>(name: string, value: Checked): Checked {
  if (typeof value === 'function') return value
  throw badOption(name, 'a function', value)
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw badOption(name, 'a boolean', value)
}

/** A text of 1 to `maxChars` characters. */
export function checkText(name: string, value: unknown, maxChars: number): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= maxChars) return value
  throw badOption(name, `a non-empty string of at most ${maxChars} characters`, value)
}

const MAX_KEY_CHARS = 256

/** A text that names something: a key, an id of the host's. */
export function checkKey(name: string, value: unknown): string {
  return checkText(name, value, MAX_KEY_CHARS)
}

export function checkSignal(name: string, value: unknown): AbortSignal {
  if (value instanceof AbortSignal) return value
  throw badOption(name, 'an AbortSignal', value)
}

/** An options object whose names are all known. `undefined` counts as no options. */
export function checkOptionNames(
  name: string,
  value: unknown,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badOption(name, 'an object', value)
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new TypeError(`${name} has no option ${quote(key)}; it knows ${known.join(', ')}`)
  }
  return value as Readonly<Record<string, unknown>>
}

/** The options of anything that waits. */
export function checkWaitOptions(
  options: unknown,
  defaultWaitMs: number,
): { readonly waitMs: number; readonly signal: AbortSignal | undefined } {
  const { waitMs, signal } = checkOptionNames('options', options, ['waitMs', 'signal'])
  return {
    waitMs: waitMs === undefined ? defaultWaitMs : checkDuration('waitMs', waitMs, { mayBeInfinite: true }),
    signal: signal === undefined ? undefined : checkSignal('signal', signal),
  }
}

const MAX_OWNER_CHARS = 256
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/u

/** An owner: who the host says it is, compared exactly. */
export function checkOwner(value: unknown): string {
  const owner = checkText('owner', value, MAX_OWNER_CHARS)
  if (CONTROL_CHARACTER.test(owner)) throw badOption('owner', 'free of control characters', value)
  return owner
}

/** Only `undefined` means the default: anything else has to pass its check. */
export function orDefault<Value>(value: Value | undefined, fallback: Value): Value {
  return value === undefined ? fallback : value
}

/** What is given, converted; nothing where nothing is. */
export function optional<Value, Result>(
  value: Value | undefined,
  convert: (value: Value) => Result,
): Result | undefined {
  return value === undefined ? undefined : convert(value)
}
