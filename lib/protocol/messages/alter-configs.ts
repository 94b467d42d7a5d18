/**
 * AlterConfigs: replaces all settings of a resource: what is left out falls back to its default. Version 2 is flexible.
 * IncrementalAlterConfigs is the better choice where a broker has it.
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.js'

export const AlterConfigs = api(
  33,
  'AlterConfigs',
  { versions: '0-2', flexible: '2+', client: '1-2', broker: '0-2' },
  {
    request: {
      resources: array('0+', {
        resourceType: int8('0+'),
        resourceName: string('0+'),
        configs: array('0+', {
          name: string('0+'),
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
