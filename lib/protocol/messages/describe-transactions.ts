/**
 * DescribeTransactions: state, identity and partitions of transactional ids, at their coordinators.
 */
import { api, array, int16, int32, int64, n64, string } from '../schema.js'

export const DescribeTransactions = api(
  65,
  'DescribeTransactions',
  { versions: '0', flexible: '0+', client: '0', broker: '0' },
  {
    request: {
      transactionalIds: array('0+', 'string'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      transactionStates: array('0+', {
        errorCode: int16('0+'),
        transactionalId: string('0+'),
        transactionState: string('0+'),
        transactionTimeoutMs: int32('0+'),
        transactionStartTimeMs: n64('0+'),
        producerId: int64('0+'),
        producerEpoch: int16('0+'),
        topics: array('0+', {
          topic: string('0+'),
          partitions: array('0+', 'int32'),
        }),
      }),
    },
  },
)
