/**
 * IncrementalAlterConfigs: sets (0), deletes (1), appends to (2) or subtracts from (3) single settings.
 * Version 1 is flexible.
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.js'

export const IncrementalAlterConfigs = api(
  44,
  'IncrementalAlterConfigs',
  { versions: '0-1', flexible: '1+', client: '0-1', broker: '0-1' },
  {
    request: {
      resources: array('0+', {
        resourceType: int8('0+'),
        resourceName: string('0+'),
        configs: array('0+', {
          name: string('0+'),
          configOperation: int8('0+'),
          value: string('0+', { nullable: '0+' }),
        }),
      }),
      validateOnly: bool('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      responses: array('0+', {
        errorCode: int16('0+'),
        errorMessage: string('0+', { nullable: '0+' }),
        resourceType: int8('0+'),
        resourceName: string('0+'),
      }),
    },
  },
)
