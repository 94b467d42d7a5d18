/**
 * The ids that the tests of this version must name, and those that are deliberately left for later, each with its reason.
 * An id is a requirement of the specification: CH channel, CD codec, CL cluster, PR producer, WA write-ahead
 * log, QU queue, BR and B broker, NT reactor, GW gateway,
 * CF configuration, ER errors, CO consumer, W wire, R record batch, P producer rule, C consumer rule, K what other
 * clients get wrong, F in-process broker.
 */
import { span } from './titles.js'

const FEATURES = [
  ...span('CH', 1, 20),
  ...span('CD', 1, 4),
  ...span('CL', 1, 7),
  ...span('PR', 1, 24),
  ...span('WA', 1, 6),
  ...span('QU', 1, 6),
  ...span('BR', 1, 2),
  ...span('CF', 1, 4),
  ...span('ER', 1, 3),
  ...span('CO', 1, 17),
  ...span('AD', 1, 2),
  'CM-1',
  ...span('ME', 1, 8),
  ...span('FA', 1, 5),
  ...span('NT', 1, 9),
  ...span('GW', 1, 4),
  ...span('EX', 1, 3),
]

/** Later: transactions (P-60, C-37, K-25). */
const RULES = [
  ...span('W', 1, 29),
  ...span('R', 1, 10),
  ...span('P', 1, 59),
  ...span('P', 61, 64),
  ...span('B', 1, 17),
  ...span('C', 1, 36),
  ...span('C', 38, 43),
  ...span('K', 1, 24),
  'K-26',
  ...span('F', 1, 6),
]

/** Features: proved by a test and documented in API.md. */
export const DOCUMENTED: readonly string[] = FEATURES

export const REQUIRED: readonly string[] = [...FEATURES, ...RULES]

/** Required, but without a test yet. An id leaves this list with its first test. */
export const NOT_YET: Readonly<Record<string, string>> = {}
