/**
 * Heartbeat: a classic group member is alive; the answer tells it to join again (27).
 * Versions: 3 static members, 4 flexible.
 */
import { api, int16, int32, string } from '../schema.js'

export const Heartbeat = api(
  12,
  'Heartbeat',
  { versions: '0-4', flexible: '4+', client: '2-4', broker: '0-4' },
  {
    request: {
      groupId: string('0+'),
      generationId: int32('0+'),
      memberId: string('0+'),
      groupInstanceId: string('3+', { nullable: '3+', default: null }),
    },
    response: {
      throttleTimeMs: int32('1+', { ignorable: true }),
      errorCode: int16('0+'),
    },
  },
)
