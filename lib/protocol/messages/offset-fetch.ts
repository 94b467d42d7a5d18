/**
 * OffsetFetch: reads committed offsets; partitions without one answer -1.
 * Versions: 5 leader epoch, 6 flexible, 7 requireStable (waits for open transactions), 8 several groups at once, which
 * moves every field into `groups`, 9 member epoch, 10 topic ids (unstable in Kafka 4.1: schema only).
 */
import { api, array, bool, int16, int32, n64, string, uuid } from '../schema.js'

export const OffsetFetch = api(
  9,
  'OffsetFetch',
  { versions: '1-10', flexible: '6+', client: '5-9', broker: '1-9' },
  {
    request: {
      groupId: string('0-7'),
      topics: array(
        '0-7',
        {
          name: string('0-7'),
          partitionIndexes: array('0-7', 'int32'),
        },
        { nullable: '2-7' },
      ),
      groups: array('8+', {
        groupId: string('8+'),
        memberId: string('9+', { nullable: '9+', default: null, ignorable: true }),
        memberEpoch: int32('9+', { default: -1, ignorable: true }),
        topics: array(
          '8+',
          {
            name: string('8-9', { ignorable: true }),
            topicId: uuid('10+', { ignorable: true }),
            partitionIndexes: array('8+', 'int32'),
          },
          { nullable: '8+' },
        ),
      }),
      requireStable: bool('7+', { default: false }),
    },
    response: {
      throttleTimeMs: int32('3+', { ignorable: true }),
      topics: array('0-7', {
        name: string('0-7'),
        partitions: array('0-7', {
          partitionIndex: int32('0-7'),
          committedOffset: n64('0-7'),
          committedLeaderEpoch: int32('5-7', { default: -1, ignorable: true }),
          metadata: string('0-7', { nullable: '0-7' }),
          errorCode: int16('0-7'),
        }),
      }),
      errorCode: int16('2-7', { default: 0, ignorable: true }),
      groups: array('8+', {
        groupId: string('8+'),
        topics: array('8+', {
          name: string('8-9', { ignorable: true }),
          topicId: uuid('10+', { ignorable: true }),
          partitions: array('8+', {
            partitionIndex: int32('8+'),
            committedOffset: n64('8+'),
            committedLeaderEpoch: int32('8+', { default: -1, ignorable: true }),
            metadata: string('8+', { nullable: '8+' }),
            errorCode: int16('8+'),
          }),
        }),
        errorCode: int16('8+', { default: 0 }),
      }),
    },
  },
)
