/** Randomness that a seed decides. */
export interface Random {
  /** In [0, 1). */
  (): number
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number
  pick<Choice>(choices: readonly Choice[]): Choice
  /** One of the keys, as often as its weight says. */
  weighted<Choice extends string>(weights: Readonly<Record<Choice, number>>): Choice
  chance(probability: number): boolean
}

/** The same numbers for the same seed, on every machine. */
export function createRandom(seed: number): Random {
  let state = (Math.imul(seed, 0x9e_37_79_b1) ^ 0x5b_d1_e9_95) >>> 0
  const next = (): number => {
    state = (state + 0x6d_2b_79_f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return Object.assign(next, {
    below,
    pick<Choice>(choices: readonly Choice[]): Choice {
      return choices[below(choices.length)] as Choice
    },
    weighted<Choice extends string>(weights: Readonly<Record<Choice, number>>): Choice {
      const choices = Object.keys(weights) as Choice[]
      let sum = 0
      for (const choice of choices) sum += weights[choice]
      let left = next() * sum
      for (const choice of choices) {
        left -= weights[choice]
        if (left < 0) return choice
      }
      return choices.at(-1) as Choice
    },
    chance: (probability: number) => next() < probability,
  })
}
