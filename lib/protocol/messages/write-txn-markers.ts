/**
 * WriteTxnMarkers: the coordinator tells partition leaders how a transaction ended. Between brokers; schema only.
 */
import { api, array, bool, int16, int32, int64, string } from '../schema.js'

export const WriteTxnMarkers = api(
  27,
  'WriteTxnMarkers',
  { versions: '1', flexible: '1+' },
  {
    request: {
      markers: array('0+', {
        producerId: int64('0+'),
        producerEpoch: int16('0+'),
        transactionResult: bool('0+'),
        topics: array('0+', {
          name: string('0+'),
          partitionIndexes: array('0+', 'int32'),
        }),
        coordinatorEpoch: int32('0+'),
      }),
    },
    response: {
      markers: array('0+', {
        producerId: int64('0+'),
        topics: array('0+', {
          name: string('0+'),
          partitions: array('0+', {
            partitionIndex: int32('0+'),
            errorCode: int16('0+'),
          }),
        }),
      }),
    },
  },
)
