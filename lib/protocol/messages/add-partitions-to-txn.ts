/**
 * AddPartitionsToTxn: before the first write to a partition in a transaction.
 * Versions: 3 flexible; from 4 on it is spoken between brokers and has a list of transactions: clients stop at 3.
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.js'

const addPartitionsToTxnTopic = {
  name: string('0+'),
  partitions: array('0+', 'int32'),
}

const addPartitionsToTxnPartitionResult = {
  partitionIndex: int32('0+'),
  partitionErrorCode: int16('0+'),
}

const addPartitionsToTxnTopicResult = {
  name: string('0+'),
  resultsByPartition: array('0+', addPartitionsToTxnPartitionResult),
}

export const AddPartitionsToTxn = api(
  24,
  'AddPartitionsToTxn',
  { versions: '0-5', flexible: '3+', client: '1-3', broker: '0-3' },
  {
    request: {
      transactions: array('4+', {
        transactionalId: string('4+'),
        producerId: int64('4+'),
        producerEpoch: int16('4+'),
        verifyOnly: bool('4+', { default: false }),
        topics: array('4+', addPartitionsToTxnTopic),
      }),
      v3AndBelowTransactionalId: string('0-3'),
      v3AndBelowProducerId: int64('0-3'),
      v3AndBelowProducerEpoch: int16('0-3'),
      v3AndBelowTopics: array('0-3', addPartitionsToTxnTopic),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('4+', { ignorable: true }),
      resultsByTransaction: array('4+', {
        transactionalId: string('4+'),
        topicResults: array('4+', addPartitionsToTxnTopicResult),
      }),
      resultsByTopicV3AndBelow: array('0-3', addPartitionsToTxnTopicResult),
    },
  },
)
