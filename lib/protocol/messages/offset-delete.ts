/**
 * OffsetDelete: forgets committed offsets of topics a group no longer reads. Never flexible so far.
 */
import { api, array, int16, int32, string } from '../schema.js'

export const OffsetDelete = api(
  47,
  'OffsetDelete',
  { versions: '0', flexible: 'none', broker: '0' },
  {
    request: {
      groupId: string('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
        }),
      }),
    },
    response: {
      errorCode: int16('0+'),
      throttleTimeMs: int32('0+', { ignorable: true }),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
        }),
      }),
    },
  },
)
