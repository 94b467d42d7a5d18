/**
 * DescribeQuorum: voters and observers of the metadata log. Schema only.
 * Versions: 1 fetch times of replicas, 2 error messages, endpoints and directory ids.
 */
import { api, array, int16, int32, n64, string, uint16, uuid } from '../schema.js'

const replicaState = {
  replicaId: int32('0+'),
  replicaDirectoryId: uuid('2+'),
  logEndOffset: n64('0+'),
  lastFetchTimestamp: n64('1+', { default: -1, ignorable: true }),
  lastCaughtUpTimestamp: n64('1+', { default: -1, ignorable: true }),
}

export const DescribeQuorum = api(
  55,
  'DescribeQuorum',
  { versions: '0-2', flexible: '0+' },
  {
    request: {
      topics: array('0+', {
        topicName: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
        }),
      }),
    },
    response: {
      errorCode: int16('0+'),
      errorMessage: string('2+', { nullable: '2+', ignorable: true }),
      topics: array('0+', {
        topicName: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
          errorMessage: string('2+', { nullable: '2+', ignorable: true }),
          leaderId: int32('0+'),
          leaderEpoch: int32('0+'),
          highWatermark: n64('0+'),
          currentVoters: array('0+', replicaState),
          observers: array('0+', replicaState),
        }),
      }),
      nodes: array('2+', {
        nodeId: int32('2+'),
        listeners: array('2+', {
          name: string('2+'),
          host: string('2+'),
          port: uint16('2+'),
        }),
      }),
    },
  },
)
