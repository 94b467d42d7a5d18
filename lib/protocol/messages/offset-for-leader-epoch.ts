/**
 * OffsetForLeaderEpoch: where an epoch ended: finds a truncated log (KIP-320).
 * Versions: 3 replica id (-1 for consumers, default -2), 4 flexible.
 */
import { api, array, int16, int32, n64, string } from '../schema.js'

export const OffsetForLeaderEpoch = api(
  23,
  'OffsetForLeaderEpoch',
  { versions: '2-4', flexible: '4+', client: '2-4', broker: '2-4' },
  {
    request: {
      replicaId: int32('3+', { default: -2, ignorable: true }),
      topics: array('0+', {
        topic: string('0+'),
        partitions: array('0+', {
          partition: int32('0+'),
          currentLeaderEpoch: int32('2+', { default: -1, ignorable: true }),
          leaderEpoch: int32('0+'),
        }),
      }),
    },
    response: {
      throttleTimeMs: int32('2+', { ignorable: true }),
      topics: array('0+', {
        topic: string('0+'),
        partitions: array('0+', {
          errorCode: int16('0+'),
          partition: int32('0+'),
          leaderEpoch: int32('1+', { default: -1, ignorable: true }),
          endOffset: n64('0+', { default: -1 }),
        }),
      }),
    },
  },
)
