/**
 * Fetch: reads record batches of many partitions, within an incremental session.
 * Versions: 7 sessions, 9 leader epoch, 10 zstd, 11 rack and preferred replica, 12 flexible and divergence by epoch,
 * 13 topic id in place of the name, 15 the replica moves into a tag, 16 names the new leader (tag), 17 and 18 concern
 * replicas. The high watermark that a follower sends defaults to the largest int64 and is therefore a bigint; consumers
 * leave it out.
 */
import { api, array, int8, int16, int32, int64, n64, records, string, struct, uuid } from '../schema.js'

export const Fetch = api(
  1,
  'Fetch',
  { versions: '4-18', flexible: '12+', client: '10-18', broker: '4-18' },
  {
    request: {
      clusterId: string('12+', { nullable: '12+', default: null, ignorable: true, tag: 0, tagged: '12+' }),
      replicaId: int32('0-14', { default: -1 }),
      replicaState: struct(
        '15+',
        {
          replicaId: int32('15+', { default: -1 }),
          replicaEpoch: n64('15+', { default: -1 }),
        },
        { tag: 1, tagged: '15+' },
      ),
      maxWaitMs: int32('0+'),
      minBytes: int32('0+'),
      maxBytes: int32('3+', { default: 0x7fff_ffff, ignorable: true }),
      isolationLevel: int8('4+', { default: 0, ignorable: true }),
      sessionId: int32('7+', { default: 0, ignorable: true }),
      sessionEpoch: int32('7+', { default: -1, ignorable: true }),
      topics: array('0+', {
        topic: string('0-12', { ignorable: true }),
        topicId: uuid('13+', { ignorable: true }),
        partitions: array('0+', {
          partition: int32('0+'),
          currentLeaderEpoch: int32('9+', { default: -1, ignorable: true }),
          fetchOffset: n64('0+'),
          lastFetchedEpoch: int32('12+', { default: -1 }),
          logStartOffset: n64('5+', { default: -1, ignorable: true }),
          partitionMaxBytes: int32('0+'),
          replicaDirectoryId: uuid('17+', { ignorable: true, tag: 0, tagged: '17+' }),
          highWatermark: int64('18+', { default: 9_223_372_036_854_775_807n, ignorable: true, tag: 1, tagged: '18+' }),
        }),
      }),
      forgottenTopicsData: array('7+', {
        topic: string('7-12', { ignorable: true }),
        topicId: uuid('13+', { ignorable: true }),
        partitions: array('7+', 'int32'),
      }),
      rackId: string('11+', { default: '', ignorable: true }),
    },
    response: {
      throttleTimeMs: int32('1+', { ignorable: true }),
      errorCode: int16('7+', { ignorable: true }),
      sessionId: int32('7+', { default: 0 }),
      responses: array('0+', {
        topic: string('0-12', { ignorable: true }),
        topicId: uuid('13+', { ignorable: true }),
        partitions: array('0+', {
          partitionIndex: int32('0+'),
          errorCode: int16('0+'),
          highWatermark: n64('0+'),
          lastStableOffset: n64('4+', { default: -1, ignorable: true }),
          logStartOffset: n64('5+', { default: -1, ignorable: true }),
          divergingEpoch: struct(
            '12+',
            {
              epoch: int32('12+', { default: -1 }),
              endOffset: n64('12+', { default: -1 }),
            },
            { tag: 0, tagged: '12+' },
          ),
          currentLeader: struct(
            '12+',
            {
              leaderId: int32('12+', { default: -1 }),
              leaderEpoch: int32('12+', { default: -1 }),
            },
            { tag: 1, tagged: '12+' },
          ),
          snapshotId: struct(
            '12+',
            {
              endOffset: n64('0+', { default: -1 }),
              epoch: int32('0+', { default: -1 }),
            },
            { tag: 2, tagged: '12+' },
          ),
          abortedTransactions: array(
            '4+',
            {
              producerId: int64('4+'),
              firstOffset: n64('4+'),
            },
            { nullable: '4+', ignorable: true },
          ),
          preferredReadReplica: int32('11+', { default: -1 }),
          records: records('0+', { nullable: '0+' }),
        }),
      }),
      nodeEndpoints: array(
        '16+',
        {
          nodeId: int32('16+'),
          host: string('16+'),
          port: int32('16+'),
          rack: string('16+', { nullable: '16+', default: null }),
        },
        { tag: 0, tagged: '16+' },
      ),
    },
  },
)
