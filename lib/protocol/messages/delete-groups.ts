/**
 * DeleteGroups: removes empty groups with their offsets. Version 2 is flexible.
 */
import { api, array, int16, int32, string } from '../schema.js'

export const DeleteGroups = api(
  42,
  'DeleteGroups',
  { versions: '0-2', flexible: '2+', client: '1-2', broker: '0-2' },
  {
    request: {
      groupsNames: array('0+', 'string'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      results: array('0+', {
        groupId: string('0+'),
        errorCode: int16('0+'),
      }),
    },
  },
)
