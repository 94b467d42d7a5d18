/**
 * ListTransactions: transactions at one coordinator. Versions: 1 by duration, 2 by a pattern of the id.
 */
import { api, array, int16, int32, int64, n64, string } from '../schema.js'

export const ListTransactions = api(
  66,
  'ListTransactions',
  { versions: '0-2', flexible: '0+', client: '0-2', broker: '0-2' },
  {
    request: {
      stateFilters: array('0+', 'string'),
      producerIdFilters: array('0+', 'int64'),
      durationFilter: n64('1+', { default: -1 }),
      transactionalIdPattern: string('2+', { nullable: '2+', default: null }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      unknownStateFilters: array('0+', 'string'),
      transactionStates: array('0+', {
        transactionalId: string('0+'),
        producerId: int64('0+'),
        transactionState: string('0+'),
      }),
    },
  },
)
