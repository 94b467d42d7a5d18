/**
 * `topics`: list, create, delete, describe, alter.
 * Invariant: each topic named has a line of its own; exit 1 when one of them failed.
 */
import type { AdminClient, ConfigEntry, ConfigInput, MQError, PartitionInfo } from '../../index.js'
import { FAILED, OK } from '../exit-codes.js'
import { plural } from '../output.js'
import { textOf } from '../report.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { integer, MAX_PARTITION, pair, UsageError } from '../usage.js'

export interface TopicFlags extends ClusterFlags {
  readonly internal?: boolean
  readonly partitions?: string
  readonly replicationFactor?: string
  readonly set?: readonly string[]
  readonly unset?: readonly string[]
  readonly ifExists?: boolean
  readonly ifNotExists?: boolean
  readonly dryRun?: boolean
  readonly all?: boolean
}

const MAX_COPIES = 0x7fff

export async function listTopics(run: Run, _words: readonly string[], flags: TopicFlags): Promise<number> {
  const admin = run.admin(run.settings())
  const names = await admin.listTopics({ includeInternal: flags.internal === true, ...run.limits })
  for (const topic of names) await run.out.either({ topic }, [topic])
  return OK
}

export async function createTopics(run: Run, names: readonly string[], flags: TopicFlags): Promise<number> {
  const { partitions, replicationFactor, set = [] } = flags
  const wish = {
    ...(partitions === undefined ? {} : { partitions: integer('--partitions', partitions, 1, MAX_PARTITION) }),
    ...(replicationFactor === undefined
      ? {}
      : { replicationFactor: integer('--replication-factor', replicationFactor, 1, MAX_COPIES) }),
    configs: Object.fromEntries(set.map((word) => pair('--set', word))),
  }
  const admin = run.admin(run.settings())
  const options = { validateOnly: flags.dryRun === true, ...run.limits }
  const results = await admin.createTopics(
    names.map((name) => ({ name, ...wish })),
    options,
  )
  let exitCode: number = OK
  for (const { topic, created, error } of results) {
    const isBad = error !== undefined || (!created && flags.ifNotExists !== true)
    if (isBad) exitCode = FAILED
    const word = flags.dryRun === true ? 'would be created' : 'created'
    await tell(run, topic, error, { topic, created }, created ? `${topic} ${word}` : `${topic} exists already`)
  }
  return exitCode
}

export async function deleteTopics(run: Run, names: readonly string[], flags: TopicFlags): Promise<number> {
  const admin = run.admin(run.settings())
  let exitCode: number = OK
  for (const { topic, error } of await admin.deleteTopics(names, run.limits)) {
    const isMissing = error?.code === 'TOPIC_NOT_FOUND' && flags.ifExists === true
    if (error !== undefined && !isMissing) exitCode = FAILED
    const told = { topic, deleted: error === undefined }
    await tell(
      run,
      topic,
      isMissing ? undefined : error,
      told,
      isMissing ? `${topic} does not exist` : `${topic} deleted`,
    )
  }
  return exitCode
}

export async function describeTopics(run: Run, names: readonly string[], flags: TopicFlags): Promise<number> {
  const admin = run.admin(run.settings())
  let exitCode: number = OK
  for (const result of await admin.getTopicMetadata(names, run.limits)) {
    const { topic, partitions, error } = result
    if (error !== undefined) {
      exitCode = FAILED
      await tell(run, topic, error, { topic }, '')
      continue
    }
    await describe(run, admin, topic, partitions, flags.all === true)
  }
  return exitCode
}

async function describe(
  run: Run,
  admin: AdminClient,
  topic: string,
  partitions: readonly PartitionInfo[],
  isAll: boolean,
): Promise<void> {
  const [entries, offsets] = await Promise.all([
    admin.describeConfigs({ type: 'topic', name: topic }, run.limits),
    admin.getTopicOffsets(topic, run.limits),
  ])
  const configs = entries.filter(({ isDefault, source }) => isAll || (!isDefault && source === 'topic'))
  const rows = partitions.map((partition) => {
    const range = offsets.find((one) => one.partition === partition.partition)
    return { ...partition, logStart: range?.logStart ?? -1, logEnd: range?.logEnd ?? -1 }
  })
  if (run.out.isJson) return run.out.json({ topic, partitions: rows, configs: byName(configs) })
  await run.out.line(`${topic}: ${plural(rows.length, 'partition')}`)
  for (const { name, value } of configs) await run.out.line(`  ${name}=${value ?? ''}`)
  await run.out.table(rows, {
    '  partition': ({ partition }) => `  ${partition}`,
    leader: ({ leader }) => (leader < 0 ? 'none' : leader),
    replicas: ({ replicas }) => replicas.join(','),
    'in sync': ({ isr }) => isr.join(','),
    'log start': ({ logStart }) => logStart,
    'log end': ({ logEnd }) => logEnd,
  })
}

function byName(entries: readonly ConfigEntry[]): Record<string, string | null> {
  return Object.fromEntries(entries.map(({ name, value }) => [name, value]))
}

export async function alterTopics(run: Run, names: readonly string[], flags: TopicFlags): Promise<number> {
  const { partitions, set = [], unset = [] } = flags
  const configs: Record<string, ConfigInput | null> = Object.fromEntries([
    ...set.map((word) => pair('--set', word)),
    ...unset.map((name) => [name, null] as const),
  ])
  const count = partitions === undefined ? undefined : integer('--partitions', partitions, 1, MAX_PARTITION)
  if (count === undefined && Object.keys(configs).length === 0) {
    throw new UsageError('topics alter: nothing to change; give --set name=value, --unset name or --partitions n')
  }
  const admin = run.admin(run.settings())
  const options = { validateOnly: flags.dryRun === true, ...run.limits }
  const errors = new Map<string, MQError>()
  if (Object.keys(configs).length > 0) {
    const changes = names.map((name) => ({ type: 'topic', name, configs }) as const)
    for (const { name, error } of await admin.alterConfigs(changes, options)) if (error) errors.set(name, error)
  }
  const well = names.filter((name) => !errors.has(name))
  if (count !== undefined && well.length > 0) {
    const wishes = well.map((topic) => ({ topic, count }))
    for (const { topic, error } of await admin.createPartitions(wishes, options)) if (error) errors.set(topic, error)
  }
  const word = flags.dryRun === true ? 'could be altered' : 'altered'
  for (const topic of names)
    await tell(run, topic, errors.get(topic), { topic, altered: !errors.has(topic) }, `${topic} ${word}`)
  return errors.size > 0 ? FAILED : OK
}

/** One line per item: on stdout what was done, on stderr what failed; with `--json` both on stdout. */
export async function tell(
  run: Run,
  name: string,
  error: MQError | undefined,
  result: object,
  text: string,
): Promise<void> {
  if (run.out.isJson) return run.out.json({ ...result, error: error?.toJSON() })
  if (error === undefined) return run.out.line(text)
  await run.io.stderr.write(`tandem-mq: ${name}: ${textOf(error)}\n`)
}
