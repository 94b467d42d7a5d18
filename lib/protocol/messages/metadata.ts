/**
 * Metadata: brokers, topics, leaders. Topics null asks for all, an empty list for none.
 * Versions: 7 leader epoch, 8 authorized operations (cluster-wide ones end with 10), 9 flexible, 10 returns topic ids,
 * 12 asks by id, 13 an error for the whole answer (129: begin again from the bootstrap addresses).
 */
import { api, array, bool, int16, int32, string, uuid } from '../schema.js'

export const Metadata = api(
  3,
  'Metadata',
  { versions: '0-13', flexible: '9+', client: '7-13', broker: '0-13' },
  {
    request: {
      topics: array(
        '0+',
        {
          topicId: uuid('10+', { ignorable: true }),
          name: string('0+', { nullable: '10+' }),
        },
        { nullable: '1+' },
      ),
      allowAutoTopicCreation: bool('4+', { default: true }),
      includeClusterAuthorizedOperations: bool('8-10'),
      includeTopicAuthorizedOperations: bool('8+'),
    },
    response: {
      throttleTimeMs: int32('3+', { ignorable: true }),
      brokers: array('0+', {
        nodeId: int32('0+'),
        host: string('0+'),
        port: int32('0+'),
        rack: string('1+', { nullable: '1+', default: null, ignorable: true }),
      }),
      clusterId: string('2+', { nullable: '2+', default: null, ignorable: true }),
      controllerId: int32('1+', { default: -1, ignorable: true }),
      topics: array('0+', {
        errorCode: int16('0+'),
        name: string('0+', { nullable: '12+' }),
        topicId: uuid('10+', { ignorable: true }),
        isInternal: bool('1+', { default: false, ignorable: true }),
        partitions: array('0+', {
          errorCode: int16('0+'),
          partitionIndex: int32('0+'),
          leaderId: int32('0+'),
          leaderEpoch: int32('7+', { default: -1, ignorable: true }),
          replicaNodes: array('0+', 'int32'),
          isrNodes: array('0+', 'int32'),
          offlineReplicas: array('5+', 'int32', { ignorable: true }),
        }),
        topicAuthorizedOperations: int32('8+', { default: -0x8000_0000 }),
      }),
      clusterAuthorizedOperations: int32('8-10', { default: -0x8000_0000 }),
      errorCode: int16('13+', { ignorable: true }),
    },
  },
)
