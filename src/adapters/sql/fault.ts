/**
 * What an error of a database says. `full`: there is no room; the same write succeeds when there is. `unusable`: it needs a
 * person. `unavailable`: not just now. `conflict`: the transaction lost against another one, and nothing of it was kept.
 */
export type Fault = 'full' | 'unusable' | 'unavailable' | 'conflict'

/** Undefined: it is no error of the database. */
export type FaultOf = (error: unknown) => Fault | undefined
