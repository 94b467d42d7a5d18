/**
 * What those who read a channel see of it.
 */
import type { MQError } from '../../errors/index.js'
import type { Clock } from '../../util/index.js'

/** What is read from. */
export interface ReadSource<Item> {
  readonly clock: Clock
  /** Records that `tryRead` would give one after the other. */
  readonly readable: number
  /** Closed and drained: nothing will ever come. */
  readonly isEnded: boolean
  tryRead(): Item | undefined
  /** A callback failed with this in its hands: what it holds is taken back. */
  letGo(item: Item): void
  /** Raises the `error` event. */
  raise(error: MQError): void
}

/** Records for a waiting call; null: there will be none any more. */
export type Served<Item> = readonly Item[] | null
