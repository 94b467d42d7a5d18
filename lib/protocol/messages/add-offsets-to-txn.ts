/**
 * AddOffsetsToTxn: a group takes part in a transaction. Versions: 3 flexible, 4 error 120.
 */
import { api, int16, int32, int64, string } from '../schema.js'

export const AddOffsetsToTxn = api(
  25,
  'AddOffsetsToTxn',
  { versions: '0-4', flexible: '3+', client: '1-4', broker: '0-4' },
  {
    request: {
      transactionalId: string('0+'),
      producerId: int64('0+'),
      producerEpoch: int16('0+'),
      groupId: string('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
    },
  },
)
