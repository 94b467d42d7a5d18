/**
 * Produce: appends record batches, one per partition and request.
 * Versions: 7 zstd, 8 says which records were refused, 9 flexible, 10 names the new leader (tag), 11 error 120,
 * 12 transactions of version 2, 13 topic id in place of the name. acks 0 has no answer at all.
 * Kafka advertises 0-13 for the sake of an old client, but closes the connection on anything below 3.
 */
import { api, array, int16, int32, n64, records, string, struct, uuid } from '../schema.js'

export const Produce = api(
  0,
  'Produce',
  { versions: '3-13', flexible: '9+', client: '7-13', broker: '3-13' },
  {
    request: {
      transactionalId: string('3+', { nullable: '3+', default: null }),
      acks: int16('0+'),
      timeoutMs: int32('0+'),
      topicData: array('0+', {
        name: string('0-12', { ignorable: true }),
        topicId: uuid('13+', { ignorable: true }),
        partitionData: array('0+', {
          index: int32('0+'),
          records: records('0+', { nullable: '0+' }),
        }),
      }),
    },
    response: {
      responses: array('0+', {
        name: string('0-12', { ignorable: true }),
        topicId: uuid('13+', { ignorable: true }),
        partitionResponses: array('0+', {
          index: int32('0+'),
          errorCode: int16('0+'),
          baseOffset: n64('0+'),
          logAppendTimeMs: n64('2+', { default: -1, ignorable: true }),
          logStartOffset: n64('5+', { default: -1, ignorable: true }),
          recordErrors: array(
            '8+',
            {
              batchIndex: int32('8+'),
              batchIndexErrorMessage: string('8+', { nullable: '8+', default: null }),
            },
            { ignorable: true },
          ),
          errorMessage: string('8+', { nullable: '8+', default: null, ignorable: true }),
          currentLeader: struct(
            '10+',
            {
              leaderId: int32('10+', { default: -1 }),
              leaderEpoch: int32('10+', { default: -1 }),
            },
            { tag: 0, tagged: '10+' },
          ),
        }),
      }),
      throttleTimeMs: int32('1+', { default: 0, ignorable: true }),
      nodeEndpoints: array(
        '10+',
        {
          nodeId: int32('10+'),
          host: string('10+'),
          port: int32('10+'),
          rack: string('10+', { nullable: '10+', default: null }),
        },
        { tag: 0, tagged: '10+' },
      ),
    },
  },
)
