/** How a run ends: 2 means that the command line or configuration was wrong and nothing was begun, 1 that it failed. */
export const OK = 0
export const FAILED = 1
export const USAGE = 2
/** `wal` has codes of its own (commands/wal/exit-codes.ts): there 2 means damage. */
export const WAL_USAGE = 5
