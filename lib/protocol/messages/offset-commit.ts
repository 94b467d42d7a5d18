/**
 * OffsetCommit: stores the next offset to read, per group and partition.
 * Versions: 6 leader epoch, 7 static members, 8 flexible, 9 the generation may be a member epoch (KIP-848), 10 topic
 * ids (unstable in Kafka 4.1: schema only).
 */
import { api, array, int16, int32, n64, string, uuid } from '../schema.js'

export const OffsetCommit = api(
  8,
  'OffsetCommit',
  { versions: '2-10', flexible: '8+', client: '6-9', broker: '2-9' },
  {
    request: {
      groupId: string('0+'),
      generationIdOrMemberEpoch: int32('1+', { default: -1, ignorable: true }),
      memberId: string('1+', { ignorable: true }),
      groupInstanceId: string('7+', { nullable: '7+', default: null }),
      retentionTimeMs: n64('2-4', { default: -1, ignorable: true }),
      topics: array('0+', {
        name: string('0-9', { ignorable: true }),
        topicId: uuid('10+', { ignorable: true }),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          committedOffset: n64('0+'),
          committedLeaderEpoch: int32('6+', { default: -1, ignorable: true }),
          committedMetadata: string('0+', { nullable: '0+' }),
        }),
      }),
    },
    response: {
      throttleTimeMs: int32('3+', { ignorable: true }),
      topics: array('0+', {
        name: string('0-9', { ignorable: true }),
        topicId: uuid('10+', { ignorable: true }),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
        }),
      }),
    },
  },
)
