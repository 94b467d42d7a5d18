/**
 * ListOffsets: the offset that belongs to a timestamp, or to a negative word: -1 latest, -2 earliest, -3 largest
 * timestamp (7), -4 earliest local (8), -5 last tiered (9). Versions: 4 leader epoch, 6 flexible, 10 own time limit.
 */
import { api, array, int8, int16, int32, n64, string } from '../schema.js'

export const ListOffsets = api(
  2,
  'ListOffsets',
  { versions: '1-10', flexible: '6+', client: '4-10', broker: '1-10' },
  {
    request: {
      replicaId: int32('0+'),
      isolationLevel: int8('2+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          currentLeaderEpoch: int32('4+', { default: -1, ignorable: true }),
          timestamp: n64('0+'),
        }),
      }),
      timeoutMs: int32('10+', { ignorable: true }),
    },
    response: {
      throttleTimeMs: int32('2+', { ignorable: true }),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
          timestamp: n64('1+', { default: -1 }),
          offset: n64('1+', { default: -1 }),
          leaderEpoch: int32('4+', { default: -1 }),
        }),
      }),
    },
  },
)
