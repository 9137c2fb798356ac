/** Says what is being measured: a line for each case, and on a terminal one that lives until it is done. */

export interface Progress {
  begin(name: string): void
  /** What the case has given, in a few words. */
  end(result: string): void
}

export function createProgress(total: number): Progress {
  const { stderr } = process
  let done = 0
  let current = ''
  let startedMs = 0
  let ticking: NodeJS.Timeout | undefined
  const seconds = (): string => `${Math.round((performance.now() - startedMs) / 1_000)} s`
  const draw = (): void => void stderr.write(`\r\u001b[K${done + 1}/${total} ${current} … ${seconds()}`)
  return {
    begin(name) {
      current = name
      startedMs = performance.now()
      if (!stderr.isTTY) return
      draw()
      ticking = setInterval(draw, 1_000)
    },
    end(result) {
      clearInterval(ticking)
      done += 1
      stderr.write(`${stderr.isTTY ? '\r\u001b[K' : ''}${done}/${total} ${current}: ${result} (${seconds()})\n`)
    },
  }
}
