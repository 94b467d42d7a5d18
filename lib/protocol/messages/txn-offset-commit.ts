/**
 * TxnOffsetCommit: commits offsets as part of a transaction.
 * Versions: 2 leader epoch, 3 flexible and group fencing (KIP-447), 4 error 120, 5 transactions of version 2.
 */
import { api, array, int16, int32, int64, n64, string } from '../schema.js'

export const TxnOffsetCommit = api(
  28,
  'TxnOffsetCommit',
  { versions: '0-5', flexible: '3+', client: '2-5', broker: '0-5' },
  {
    request: {
      transactionalId: string('0+'),
      groupId: string('0+'),
      producerId: int64('0+'),
      producerEpoch: int16('0+'),
      generationId: int32('3+', { default: -1 }),
      memberId: string('3+', { default: '' }),
      groupInstanceId: string('3+', { nullable: '3+', default: null }),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          committedOffset: n64('0+'),
          committedLeaderEpoch: int32('2+', { default: -1, ignorable: true }),
          committedMetadata: string('0+', { nullable: '0+' }),
        }),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
        }),
      }),
    },
  },
)
