/**
 * ListConfigResources: what has settings of its own. Version 0 lists client metrics only, 1 asks by type. Schema only.
 */
import { api, array, int8, int16, int32, string } from '../schema.js'

export const ListConfigResources = api(
  74,
  'ListConfigResources',
  { versions: '0-1', flexible: '0+' },
  {
    request: {
      resourceTypes: array('1+', 'int8'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      configResources: array('0+', {
        resourceName: string('0+'),
        resourceType: int8('1+', { default: 16, ignorable: true }),
      }),
    },
  },
)
