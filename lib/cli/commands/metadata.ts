/**
 * `metadata` (kcat's -L) and `offsets` (kcat's -Q), in the words of kcat.
 * Source: kcat 1.7.1; compared with it in test/integration/cli.test.ts.
 */
import type { TopicInfoResult } from '../../index.js'
import { OK } from '../exit-codes.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { integer, MAX_PARTITION, UsageError } from '../usage.js'

export interface MetadataFlags extends ClusterFlags {
  readonly topic?: readonly string[]
}

export async function metadata(run: Run, _words: readonly string[], flags: MetadataFlags): Promise<number> {
  const admin = run.admin(run.settings())
  const names = flags.topic ?? (await admin.listTopics({ includeInternal: true, ...run.limits }))
  const [cluster, topics] = await Promise.all([
    admin.describeCluster(run.limits),
    admin.getTopicMetadata(names, run.limits),
  ])
  if (run.out.isJson) {
    await run.out.json({ ...cluster, topics: topics.map((topic) => ({ ...topic, error: topic.error?.toJSON() })) })
    return OK
  }
  const { brokers, controller, clusterId } = cluster
  await run.out.line(
    `Metadata for ${flags.topic === undefined ? 'all topics' : names.join(', ')} (cluster ${clusterId}):`,
  )
  await run.out.line(` ${brokers.length} brokers:`)
  for (const { brokerId, host, port } of brokers) {
    await run.out.line(`  broker ${brokerId} at ${host}:${port}${brokerId === controller ? ' (controller)' : ''}`)
  }
  await run.out.line(` ${topics.length} topics:`)
  for (const topic of topics) for (const line of linesOf(topic)) await run.out.line(line)
  return OK
}

function linesOf({ topic, partitions, error }: TopicInfoResult): string[] {
  const trouble = error === undefined ? ':' : `: ${error.code}`
  return [
    `  topic "${topic}" with ${partitions.length} partitions${trouble}`,
    ...partitions.map(
      ({ partition, leader, replicas, isr }) =>
        `    partition ${partition}, leader ${leader}, replicas: ${replicas.join(',')}, isrs: ${isr.join(',')}`,
    ),
  ]
}

export async function offsets(run: Run, _words: readonly string[], flags: MetadataFlags): Promise<number> {
  const words = flags.topic ?? []
  if (words.length === 0) throw new UsageError('offsets: name what to look for with -t topic:partition:time')
  const queries = words.map(queryOf)
  const admin = run.admin(run.settings())
  for (const { topic, partition, timestamp } of queries) {
    const rows =
      timestamp < 0
        ? (await admin.getTopicOffsets(topic, run.limits)).map((row) => ({
            partition: row.partition,
            offset: timestamp === -1 ? row.logEnd : row.logStart,
          }))
        : await admin.getOffsetsForTime(topic, timestamp, run.limits)
    const offset = rows.find((row) => row.partition === partition)?.offset
    if (offset === undefined) throw new UsageError(`offsets: ${topic} has no partition ${partition}`)
    await run.out.either({ topic, partition, timestamp, offset }, [`${topic} [${partition}] offset ${offset}`])
  }
  return OK
}

/** As kcat: -1 is the end, -2 the beginning. */
function queryOf(word: string): { topic: string; partition: number; timestamp: number } {
  const [topic = '', partition = '', timestamp = '', ...rest] = word.split(':')
  if (rest.length > 0 || topic === '' || timestamp === '') {
    throw new UsageError(`offsets: expected -t topic:partition:time, got '${word}'`)
  }
  return {
    topic,
    partition: integer('the partition of -t', partition, 0, MAX_PARTITION),
    timestamp: integer('the time of -t', timestamp, -2),
  }
}
