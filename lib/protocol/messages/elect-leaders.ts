/**
 * ElectLeaders: the preferred replica, or (1) any live one. Versions: 1 kind of election, 2 flexible.
 */
import { api, array, int8, int16, int32, string } from '../schema.js'

export const ElectLeaders = api(
  43,
  'ElectLeaders',
  { versions: '0-2', flexible: '2+', broker: '0-2' },
  {
    request: {
      electionType: int8('1+'),
      topicPartitions: array(
        '0+',
        {
          topic: string('0+'),
          partitions: array('0+', 'int32'),
        },
        { nullable: '0+' },
      ),
      timeoutMs: int32('0+', { default: 60_000 }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('1+'),
      replicaElectionResults: array('0+', {
        topic: string('0+'),
        partitionResult: array('0+', {
          partitionId: int32('0+'),
          errorCode: int16('0+'),
          errorMessage: string('0+', { nullable: '0+' }),
        }),
      }),
    },
  },
)
