/**
 * Gives the log of a deployment its name, once, and says in which form its keys are written.
 *
 * ARGV: base, name for a new log, form. Reply: the name and the form that are there.
 */
import { createScript } from './script.ts'

export const OPEN_SCRIPT = createScript(`
redis.call('SET', KEYS[1], ARGV[2], 'NX')
redis.call('SET', ARGV[1] .. 'form', ARGV[3], 'NX')
return {redis.call('GET', KEYS[1]), redis.call('GET', ARGV[1] .. 'form')}
`)
