/**
 * CreatePartitions: `count` is the new total. Versions: 2 flexible, 3 answers a throttling error (89).
 */
import { api, array, bool, int16, int32, string } from '../schema.js'

export const CreatePartitions = api(
  37,
  'CreatePartitions',
  { versions: '0-3', flexible: '2+', client: '1-3', broker: '0-3' },
  {
    request: {
      topics: array('0+', {
        name: string('0+'),
        count: int32('0+'),
        assignments: array(
          '0+',
          {
            brokerIds: array('0+', 'int32'),
          },
          { nullable: '0+' },
        ),
      }),
      timeoutMs: int32('0+'),
      validateOnly: bool('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      results: array('0+', {
        name: string('0+'),
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+', default: null }),
      }),
    },
  },
)
