/**
 * FindCoordinator: the broker that keeps a group (key type 0), a transactional id (1) or a share group (2).
 * Versions: 1 key type, 3 flexible, 4 several keys at once, which moves the answer into `coordinators`, 5 error 120.
 */
import { api, array, int8, int16, int32, string } from '../schema.js'

export const FindCoordinator = api(
  10,
  'FindCoordinator',
  { versions: '0-6', flexible: '3+', client: '2-6', broker: '0-6' },
  {
    request: {
      key: string('0-3'),
      keyType: int8('1+', { default: 0 }),
      coordinatorKeys: array('4+', 'string'),
    },
    response: {
      throttleTimeMs: int32('1+', { ignorable: true }),
      errorCode: int16('0-3'),
      errorMessage: string('1-3', { nullable: '1-3', ignorable: true }),
      nodeId: int32('0-3'),
      host: string('0-3'),
      port: int32('0-3'),
      coordinators: array('4+', {
        key: string('4+'),
        nodeId: int32('4+'),
        host: string('4+'),
        port: int32('4+'),
        errorCode: int16('4+'),
        errorMessage: string('4+', { nullable: '4+', ignorable: true }),
      }),
    },
  },
)
