/**
 * AlterPartitionReassignments, ListPartitionReassignments: moves replicas between brokers. Schema only.
 * Alter 1: allowReplicationFactorChange.
 */
import { api, array, bool, int16, int32, string } from '../schema.js'

export const AlterPartitionReassignments = api(
  45,
  'AlterPartitionReassignments',
  { versions: '0-1', flexible: '0+' },
  {
    request: {
      timeoutMs: int32('0+', { default: 60_000 }),
      allowReplicationFactorChange: bool('1+', { default: true }),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          replicas: array('0+', 'int32', { nullable: '0+', default: null }),
        }),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      allowReplicationFactorChange: bool('1+', { default: true, ignorable: true }),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      responses: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
          errorMessage: string('0+', { nullable: '0+' }),
        }),
      }),
    },
  },
)

export const ListPartitionReassignments = api(
  46,
  'ListPartitionReassignments',
  { versions: '0', flexible: '0+' },
  {
    request: {
      timeoutMs: int32('0+', { default: 60_000 }),
      topics: array(
        '0+',
        {
          name: string('0+'),
          partitionIndexes: array('0+', 'int32'),
        },
        { nullable: '0+', default: null },
      ),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      topics: array('0+', {
        name: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          replicas: array('0+', 'int32'),
          addingReplicas: array('0+', 'int32'),
          removingReplicas: array('0+', 'int32'),
        }),
      }),
    },
  },
)
