/**
 * The assignors by the names that members agree on. Names are Kafka's: a mixed group with Java or librdkafka needs them.
 * Source: kafka.md 5.5, CO-10.
 */
import type { AssignorName } from '../../../config/index.js'
import type { Assignor } from './assignor.js'
import { cooperativeStickyAssignor } from './cooperative-sticky.js'
import { rangeAssignor } from './range.js'
import { roundRobinAssignor } from './roundrobin.js'
import { stickyAssignor } from './sticky.js'

export type { Assignment, Assignor, GroupMember } from './assignor.js'

const ASSIGNORS: Readonly<Record<AssignorName, Assignor>> = {
  range: rangeAssignor,
  roundrobin: roundRobinAssignor,
  sticky: stickyAssignor,
  'cooperative-sticky': cooperativeStickyAssignor,
}

export function assignorOf(name: AssignorName): Assignor {
  return ASSIGNORS[name]
}
