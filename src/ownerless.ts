/** A session without an owner: each of its verbs says what is missing. */
import { TaskError } from './errors.ts'
import type { Session } from './ports/session.ts'

/** The same for every supervisor, so they are made once. */
let refusals: PropertyDescriptorMap | undefined

/** It has the verbs of a session that is made for their names. */
export function createOwnerless(createModel: () => Session): Session {
  return Object.defineProperties({}, (refusals ??= refuseAll(createModel()))) as Session
}

function refuseAll(session: Session): PropertyDescriptorMap {
  const error = (): TaskError => new TaskError('not_allowed', 'An owner is needed here: use tasks.session({ owner }).')
  const verbs = Object.keys(session).map((name): [string, PropertyDescriptor] => {
    const descriptor = Object.getOwnPropertyDescriptor(session, name)
    const throws = (): never => {
      throw error()
    }
    if (typeof descriptor?.value !== 'function') return [name, { get: throws, enumerable: false }]
    const isSynchronous = name === 'handle' || name.startsWith('events')
    return [name, { value: isSynchronous ? throws : () => Promise.reject(error()), enumerable: true }]
  })
  return Object.fromEntries(verbs)
}
