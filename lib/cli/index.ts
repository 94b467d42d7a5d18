/** The door of `cli`: the program as a function. */
export type { CliIo, Sink } from './io.js'
export { main } from './run-main.js'
