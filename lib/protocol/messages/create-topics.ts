/**
 * CreateTopics. Versions: 4 partitions and replicas -1 = default of the broker, 5 flexible and the resulting
 * configuration in the answer, 7 topic id.
 */
import { api, array, bool, int8, int16, int32, string, uuid } from '../schema.js'

export const CreateTopics = api(
  19,
  'CreateTopics',
  { versions: '2-7', flexible: '5+', client: '3-7', broker: '2-7' },
  {
    request: {
      topics: array('0+', {
        name: string('0+'),
        numPartitions: int32('0+'),
        replicationFactor: int16('0+'),
        assignments: array('0+', {
          partitionIndex: int32('0+'),
          brokerIds: array('0+', 'int32'),
        }),
        configs: array('0+', {
          name: string('0+'),
          value: string('0+', { nullable: '0+' }),
        }),
      }),
      timeoutMs: int32('0+', { default: 60_000 }),
      validateOnly: bool('1+', { default: false }),
    },
    response: {
      throttleTimeMs: int32('2+', { ignorable: true }),
      topics: array('0+', {
        name: string('0+'),
        topicId: uuid('7+', { ignorable: true }),
        errorCode: int16('0+'),
        errorMessage: string('1+', { nullable: '0+', ignorable: true }),
        topicConfigErrorCode: int16('5+', { ignorable: true, tag: 0, tagged: '5+' }),
        numPartitions: int32('5+', { default: -1, ignorable: true }),
        replicationFactor: int16('5+', { default: -1, ignorable: true }),
        configs: array(
          '5+',
          {
            name: string('5+'),
            value: string('5+', { nullable: '5+' }),
            readOnly: bool('5+'),
            configSource: int8('5+', { default: -1, ignorable: true }),
            isSensitive: bool('5+'),
          },
          { nullable: '5+', ignorable: true },
        ),
      }),
    },
  },
)
