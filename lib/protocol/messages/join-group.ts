/**
 * JoinGroup: enters a classic group; the answer names the leader and, to the leader, everybody.
 * Versions: 4 answers 79 with an id to join again, 5 static members, 6 flexible, 7 protocol type, 8 reason,
 * 9 tells the leader to skip the assignment.
 */
import { api, array, bool, bytes, int16, int32, string } from '../schema.js'

export const JoinGroup = api(
  11,
  'JoinGroup',
  { versions: '0-9', flexible: '6+', client: '3-9', broker: '0-9' },
  {
    request: {
      groupId: string('0+'),
      sessionTimeoutMs: int32('0+'),
      rebalanceTimeoutMs: int32('1+', { default: -1, ignorable: true }),
      memberId: string('0+'),
      groupInstanceId: string('5+', { nullable: '5+', default: null }),
      protocolType: string('0+'),
      protocols: array('0+', {
        name: string('0+'),
        metadata: bytes('0+'),
      }),
      reason: string('8+', { nullable: '8+', default: null, ignorable: true }),
    },
    response: {
      throttleTimeMs: int32('2+', { ignorable: true }),
      errorCode: int16('0+'),
      generationId: int32('0+', { default: -1 }),
      protocolType: string('7+', { nullable: '7+', default: null, ignorable: true }),
      protocolName: string('0+', { nullable: '7+' }),
      leader: string('0+'),
      skipAssignment: bool('9+', { default: false }),
      memberId: string('0+'),
      members: array('0+', {
        memberId: string('0+'),
        groupInstanceId: string('5+', { nullable: '5+', default: null, ignorable: true }),
        metadata: bytes('0+'),
      }),
    },
  },
)
