/** People who follow the events of an owner, from one process to the next. */
import type { Owner } from './plan.ts'
import type { NodeProcess } from './process.ts'
import type { Stage } from './stage.ts'

export interface Consumers {
  /** The consumer of this number begins, or goes on elsewhere. */
  follow(node: NodeProcess, index: number): void
  /** All that have begun go on here. */
  followAll(node: NodeProcess): void
}

interface Consumer {
  readonly owner: Owner
  cursor: string | undefined
  reading: AbortController | undefined
}

export function createConsumers({ note }: Pick<Stage, 'note'>): Consumers {
  const consumers = new Map<number, Consumer>()

  const follow = (node: NodeProcess, index: number): void => {
    const consumer = consumers.get(index) ?? {
      owner: index === 0 ? 'bob' : 'ann',
      cursor: undefined,
      reading: undefined,
    }
    consumers.set(index, consumer)
    consumer.reading?.abort()
    const reading = new AbortController()
    consumer.reading = reading
    const { owner, cursor } = consumer
    const read = async (): Promise<void> => {
      const options = { signal: reading.signal, ...(cursor === undefined ? {} : { after: cursor }) }
      for await (const item of node.session(owner).events(options)) {
        // What a process says that is gone, and what comes after the consumer has left, reaches nobody.
        if (node.clock.state() === 'dead' || consumer.reading !== reading) return
        note({ type: 'seen', consumer: `consumer ${index + 1}`, owner, item })
        if ('cursor' in item && item.cursor !== undefined) consumer.cursor = item.cursor
      }
    }
    node.ask(read)
  }

  return {
    follow,
    followAll(node) {
      for (const index of consumers.keys()) follow(node, index)
    },
  }
}
