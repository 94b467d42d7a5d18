/** The commands of `tandem-mq wal`, and what their errors mean: what the program loads when one of them runs. */
import { WalExit, walExitOf } from './exit-codes.js'

export { inspect } from './inspect.js'
export { recover } from './recover.js'
export { repair } from './repair.js'
export { verify } from './verify.js'

export const verdicts = { of: walExitOf, stopped: WalExit.unfinished }
