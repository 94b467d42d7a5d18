/**
 * AlterReplicaLogDirs, DescribeLogDirs: where a broker keeps its replicas. Schema only.
 * Describe: 2 flexible, 3 error of the whole answer, 4 size of the volume. Alter: 2 flexible.
 */
import { api, array, bool, int16, int32, n64, string } from '../schema.js'

export const AlterReplicaLogDirs = api(
  34,
  'AlterReplicaLogDirs',
  { versions: '1-2', flexible: '2+' },
  {
    request: {
      dirs: array('0+', {
        path: string('0+'),
        topics: array('0+', {
          name: string('0+'),
          partitions: array('0+', 'int32'),
        }),
      }),
    },
    response: {
      throttleTimeMs: int32('0+'),
      results: array('0+', {
        topicName: string('0+'),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
        }),
      }),
    },
  },
)

export const DescribeLogDirs = api(
  35,
  'DescribeLogDirs',
  { versions: '1-4', flexible: '2+' },
  {
    request: {
      topics: array(
        '0+',
        {
          topic: string('0+'),
          partitions: array('0+', 'int32'),
        },
        { nullable: '0+' },
      ),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('3+', { ignorable: true }),
      results: array('0+', {
        errorCode: int16('0+'),
        logDir: string('0+'),
        topics: array('0+', {
          name: string('0+'),
          partitions: array('0+', {
            partitionIndex: int32('0+'),
            partitionSize: n64('0+'),
            offsetLag: n64('0+'),
            isFutureKey: bool('0+'),
          }),
        }),
        totalBytes: n64('4+', { default: -1, ignorable: true }),
        usableBytes: n64('4+', { default: -1, ignorable: true }),
      }),
    },
  },
)
