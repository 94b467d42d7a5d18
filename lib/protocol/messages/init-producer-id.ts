/**
 * InitProducerId: the identity of an idempotent or transactional producer.
 * Versions: 2 flexible, 3 carries the present identity so that the epoch is raised (KIP-360), 4 error 90,
 * 6 two-phase commit (unstable in Kafka 4.1: schema only).
 */
import { api, bool, int16, int32, int64, string } from '../schema.js'

export const InitProducerId = api(
  22,
  'InitProducerId',
  { versions: '0-6', flexible: '2+', client: '1-5', broker: '0-5' },
  {
    request: {
      transactionalId: string('0+', { nullable: '0+' }),
      transactionTimeoutMs: int32('0+'),
      producerId: int64('3+', { default: -1n }),
      producerEpoch: int16('3+', { default: -1 }),
      enable2Pc: bool('6+', { default: false }),
      keepPreparedTxn: bool('6+', { default: false }),
    },
    response: {
      throttleTimeMs: int32('0+', { ignorable: true }),
      errorCode: int16('0+'),
      producerId: int64('0+', { default: -1n }),
      producerEpoch: int16('0+'),
      ongoingTxnProducerId: int64('6+', { default: -1n }),
      ongoingTxnProducerEpoch: int16('6+', { default: -1 }),
    },
  },
)
