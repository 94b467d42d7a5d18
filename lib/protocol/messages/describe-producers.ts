/**
 * DescribeProducers: the idempotent producers a partition leader remembers, with the last sequence of each.
 * Kafka 2.8 and later; needs READ on the topic. It settles whether a batch in doubt was written.
 */
import { api, array, int16, int32, int64, n64, string } from '../schema.js'

export const DescribeProducers = api(
  61,
  'DescribeProducers',
  { versions: '0', flexible: '0+', client: '0', broker: '0' },
  {
    request: {
      topics: array('0+', {
        name: string('0+'),
        partitionIndexes: array('0+', 'int32'),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
          errorMessage: string('0+', { nullable: '0+', default: null }),
          activeProducers: array('0+', {
            producerId: int64('0+'),
            producerEpoch: int32('0+'),
            lastSequence: int32('0+', { default: -1 }),
            lastTimestamp: n64('0+', { default: -1 }),
            coordinatorEpoch: int32('0+'),
            currentTxnStartOffset: n64('0+', { default: -1 }),
          }),
        }),
      }),
    },
  },
)
