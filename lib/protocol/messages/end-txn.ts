/**
 * EndTxn: commits or aborts. Versions: 3 flexible, 4 error 120, 5 answers the identity for the next transaction.
 */
import { api, bool, int16, int32, int64, string } from '../schema.js'

export const EndTxn = api(
  26,
  'EndTxn',
  { versions: '0-5', flexible: '3+', client: '1-5', broker: '0-5' },
  {
    request: {
      transactionalId: string('0+'),
      producerId: int64('0+'),
      producerEpoch: int16('0+'),
      committed: bool('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      producerId: int64('5+', { default: -1n, ignorable: true }),
      producerEpoch: int16('5+', { default: -1, ignorable: true }),
    },
  },
)
