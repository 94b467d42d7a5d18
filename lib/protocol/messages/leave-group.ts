/**
 * LeaveGroup: leaves a classic group at once instead of timing out.
 * Versions: 3 several members in one request (the single member id ends with 2), 4 flexible, 5 reason.
 */
import { api, array, int16, int32, string } from '../schema.js'

export const LeaveGroup = api(
  13,
  'LeaveGroup',
  { versions: '0-5', flexible: '4+', client: '2-5', broker: '0-5' },
  {
    request: {
      groupId: string('0+'),
      memberId: string('0-2'),
      members: array('3+', {
        memberId: string('3+'),
        groupInstanceId: string('3+', { nullable: '3+', default: null }),
        reason: string('5+', { nullable: '5+', default: null, ignorable: true }),
      }),
    },
    response: {
      throttleTimeMs: int32('1+', { ignorable: true }),
      errorCode: int16('0+'),
      members: array('3+', {
        memberId: string('3+'),
        groupInstanceId: string('3+', { nullable: '3+' }),
        errorCode: int16('3+'),
      }),
    },
  },
)
