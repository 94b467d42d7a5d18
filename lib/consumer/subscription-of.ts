/** What `subscribe` is given: topics and patterns, one or a list. Checked before anything is asked of a broker. */
import { MQError } from '../errors/index.js'
import { checkTopic } from './assignment.js'

/** Throws INVALID_CONFIG, INVALID_TOPIC. */
export function subscriptionOf(topics: unknown): (string | RegExp)[] {
  const list: readonly unknown[] = Array.isArray(topics) ? topics : [topics]
  if (list.length === 0)
    throw new MQError('INVALID_CONFIG', 'expected a topic, a RegExp or a list of them, at least one', {})
  return list.map((item) => (item instanceof RegExp ? item : checkTopic(item as string)))
}
