/**
 * DeleteRecords: raises the log start offset; -1 = up to the high watermark. Version 2 is flexible.
 */
import { api, array, int16, int32, n64, string } from '../schema.js'

export const DeleteRecords = api(
  21,
  'DeleteRecords',
  { versions: '0-2', flexible: '2+', client: '1-2', broker: '0-2' },
  {
    request: {
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          offset: n64('0+'),
        }),
      }),
      timeoutMs: int32('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          lowWatermark: n64('0+'),
          errorCode: int16('0+'),
        }),
      }),
    },
  },
)
