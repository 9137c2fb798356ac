/**
 * One notice on its way to one target. It is delivered once; what cannot be is a dead letter, which a person may send again.
 *
 * What a process that dies leaves in `sending` or `waitingToRetry` is `pending` for the next one.
 */
import { setup } from 'xstate'
import type { DeliveryChartEvent } from './vocabulary.ts'

export const deliveryMachine = setup({ types: { events: {} as DeliveryChartEvent } }).createMachine({
  id: 'delivery',
  initial: 'pending',
  states: {
    /** It is not its turn at its target yet. */
    pending: {
      on: { 'delivery.send': 'sending', 'delivery.giveUp': 'deadLettered', 'delivery.withdraw': 'withdrawn' },
    },
    /** A channel has it. */
    sending: {
      on: {
        'delivery.accepted': 'delivered',
        'delivery.shown': 'shown',
        'delivery.failed': 'waitingToRetry',
        'delivery.giveUp': 'deadLettered',
        'delivery.interrupted': 'pending',
      },
    },
    /** The last attempt failed; the next one is due at a stored moment. */
    waitingToRetry: {
      on: { 'delivery.send': 'sending', 'delivery.giveUp': 'deadLettered', 'delivery.withdraw': 'withdrawn' },
    },
    /** The receiver has something that has to be taken away again when its task ends. */
    shown: { on: { 'delivery.withdraw': 'withdrawn' } },
    /** It was given up. Only a person makes anything of it. */
    deadLettered: { on: { 'delivery.replay': 'pending', 'delivery.withdraw': 'withdrawn' } },
    /** The receiver has it. */
    delivered: { type: 'final' },
    /** Nobody wants it any more. */
    withdrawn: { type: 'final' },
  },
})

export type DeliveryMachine = typeof deliveryMachine
