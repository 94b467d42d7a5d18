/**
 * DescribeCluster: brokers and controller without topics. Versions: 1 asks brokers or controllers, 2 fenced brokers.
 */
import { api, array, bool, int8, int16, int32, string } from '../schema.js'

export const DescribeCluster = api(
  60,
  'DescribeCluster',
  { versions: '0-2', flexible: '0+', client: '0-2', broker: '0-2' },
  {
    request: {
      includeClusterAuthorizedOperations: bool('0+'),
      endpointType: int8('1+', { default: 1 }),
      includeFencedBrokers: bool('2+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+', default: null }),
      endpointType: int8('1+', { default: 1 }),
      clusterId: string('0+'),
      controllerId: int32('0+', { default: -1 }),
      brokers: array('0+', {
        brokerId: int32('0+'),
        host: string('0+'),
        port: int32('0+'),
        rack: string('0+', { nullable: '0+', default: null }),
        isFenced: bool('2+'),
      }),
      clusterAuthorizedOperations: int32('0+', { default: -0x8000_0000 }),
    },
  },
)
