/**
 * What happens to a cluster while batches of a dead producer are in doubt, and how each story must end (wal.md 1.3).
 * Invariant: every scenario names its edges with their exact number of records; an edge that is not named must not occur.
 */
import type { Doubt } from '../support/job.js'
import type { EdgeStage } from './stage.js'

export const RECORDS_PER_BATCH = 10
export const UNSENT = 7
const DAY_MS = 86_400_000

/** Summed over the events of one case and action. */
export interface ExpectedEdge {
  readonly case: string
  readonly records: number
  readonly action: 'delivered' | 'resent' | 'held' | 'dropped'
}

export interface Scenario {
  readonly name: string
  readonly doubt: Doubt
  readonly isReplicated?: boolean
  /** CreateTime of all records: so long ago. Milliseconds. */
  readonly ageMs?: number
  /** Why a cluster cannot play it; null when it can. */
  readonly absent?: (stage: EdgeStage) => string | null
  /** Between the kill and the next start. The returned function ends what must not last. */
  readonly act: (stage: EdgeStage, topic: string, inDoubt: number) => Promise<(() => void) | undefined>
  /** Of the next start. */
  readonly wal?: Readonly<Record<string, unknown>>
  readonly edges: readonly ExpectedEdge[]
  /** `all`: each accepted record exactly once, in order. `held`: nothing more is in the topic. `refused`: the log does not
   * open for this cluster. */
  readonly ending: 'all' | 'held' | 'refused'
  /** After `held`: a start with these settings, and how it ends. */
  readonly afterwards?: {
    readonly wal: Readonly<Record<string, unknown>>
    readonly edges: readonly ExpectedEdge[]
    /** `afresh`: the topic is another, and has everything that was unsettled. */
    readonly ending: 'all' | 'afresh'
  }
}

function doubt(batches: number, loses: Doubt['loses'] = 'answers'): Doubt {
  return { batches, recordsPerBatch: RECORDS_PER_BATCH, unsent: batches === 5 ? UNSENT : 0, loses }
}

const done = undefined
const FIVE = 5 * RECORDS_PER_BATCH
const lacks = (ability: 'moveLeader' | 'forgetProducers' | 'refuseDescribe' | 'becomeAnother') => (stage: EdgeStage) =>
  stage[ability] === null ? `${stage.name} cannot: ${ability}` : null

export const SCENARIOS: readonly Scenario[] = [
  {
    name: '5 batches in doubt, nothing happens: duplicates are told as such',
    doubt: doubt(5),
    act: async () => done,
    edges: [],
    ending: 'all',
  },
  {
    name: '1 batch in doubt that never arrived',
    doubt: doubt(1, 'requests'),
    act: async () => done,
    edges: [],
    ending: 'all',
  },
  {
    name: 'E3: 5 batches in doubt, the broker restarts cleanly and remembers one',
    doubt: doubt(5),
    act: async (stage, topic) => {
      await stage.cleanRestart(topic)
      return done
    },
    edges: [{ case: 'E3', records: 4 * RECORDS_PER_BATCH, action: 'delivered' }],
    ending: 'all',
  },
  {
    name: '1 batch in doubt, the broker restarts cleanly: the one it remembers',
    doubt: doubt(1),
    act: async (stage, topic) => {
      await stage.cleanRestart(topic)
      return done
    },
    edges: [],
    ending: 'all',
  },
  {
    // A log that was not closed is read again, and what that finds goes through a snapshot: one batch, too.
    name: 'E3: 5 batches in doubt, the broker is killed, comes back and remembers one',
    doubt: doubt(5),
    act: async (stage, topic) => {
      await stage.kill(topic)
      return done
    },
    edges: [{ case: 'E3', records: 4 * RECORDS_PER_BATCH, action: 'delivered' }],
    ending: 'all',
  },
  {
    name: '5 batches in doubt, the leader moves',
    doubt: doubt(5),
    isReplicated: true,
    absent: lacks('moveLeader'),
    act: async (stage, topic) => {
      await stage.moveLeader?.(topic)
      return done
    },
    edges: [],
    ending: 'all',
  },
  {
    name: 'E4: 5 batches in doubt, the leader has no state of the producer: found in its log',
    doubt: doubt(5),
    absent: lacks('forgetProducers'),
    act: async (stage, topic) => {
      await stage.forgetProducers?.(topic)
      return done
    },
    edges: [
      { case: 'E4', records: FIVE, action: 'delivered' },
      { case: 'E4', records: UNSENT, action: 'resent' },
    ],
    ending: 'all',
  },
  {
    // One at a time may be on the wire: the broker may forget their producer at any moment.
    name: 'E1: a batch in doubt whose records are two days old, the broker restarts and has forgotten it',
    doubt: doubt(1),
    ageMs: 2 * DAY_MS,
    act: async (stage, topic) => {
      await stage.cleanRestart(topic)
      return done
    },
    edges: [{ case: 'E1', records: RECORDS_PER_BATCH, action: 'delivered' }],
    ending: 'all',
  },
  {
    name: 'E1: two days old, forgotten, and deleted from the log: held',
    doubt: doubt(1),
    ageMs: 2 * DAY_MS,
    act: async (stage, topic, inDoubt) => {
      await stage.deleteRecords(topic, 1 + inDoubt)
      await stage.cleanRestart(topic)
      return done
    },
    edges: [{ case: 'E1', records: RECORDS_PER_BATCH, action: 'held' }],
    ending: 'held',
  },
  {
    name: 'E6: 5 batches in doubt, the topic is deleted and made anew: held; with allowRetarget sent to the new one',
    doubt: doubt(5),
    act: async (stage, topic) => {
      await stage.recreate(topic)
      return done
    },
    edges: [{ case: 'E6', records: FIVE + UNSENT, action: 'held' }],
    ending: 'held',
    afterwards: {
      wal: { allowRetarget: true, zombieWaitMs: 200 },
      edges: [{ case: 'E6', records: FIVE + UNSENT, action: 'resent' }],
      ending: 'afresh',
    },
  },
  {
    name: 'E12: 5 batches in doubt, clean restart, DescribeProducers is refused: presumed, then proven',
    doubt: doubt(5),
    absent: lacks('refuseDescribe'),
    act: async (stage, topic) => {
      await stage.cleanRestart(topic)
      return stage.refuseDescribe?.()
    },
    edges: [{ case: 'E12', records: 4 * RECORDS_PER_BATCH, action: 'delivered' }],
    ending: 'all',
  },
  {
    name: 'E7: another cluster: nothing is sent',
    doubt: doubt(5),
    absent: lacks('becomeAnother'),
    act: async (stage) => {
      await stage.becomeAnother?.()
      return done
    },
    edges: [{ case: 'E7', records: FIVE + UNSENT, action: 'held' }],
    ending: 'refused',
  },
]
