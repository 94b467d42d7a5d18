/**
 * ListGroups: the groups one broker coordinates. Versions: 3 flexible, 4 by state, 5 by type (classic, consumer, ...).
 */
import { api, array, int16, int32, string } from '../schema.js'

export const ListGroups = api(
  16,
  'ListGroups',
  { versions: '0-5', flexible: '3+', client: '2-5', broker: '0-5' },
  {
    request: {
      statesFilter: array('4+', 'string'),
      typesFilter: array('5+', 'string'),
    },
    response: {
      throttleTimeMs: int32('1+', { ignorable: true }),
      errorCode: int16('0+'),
      groups: array('0+', {
        groupId: string('0+'),
        protocolType: string('0+'),
        groupState: string('4+', { ignorable: true }),
        groupType: string('5+', { ignorable: true }),
      }),
    },
  },
)
