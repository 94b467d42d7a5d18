/**
 * `groups`: list, describe with lag, delete, reset.
 * Invariant: each group named has lines of its own; exit 1 when one of them failed; nothing is moved with `--dry-run`.
 */
import type { GroupDescription, GroupLag, GroupType, OffsetTarget } from '../../index.js'
import { FAILED, OK } from '../exit-codes.js'
import { startOf } from '../offset-words.js'
import { plural } from '../output.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { partitionList, UsageError } from '../usage.js'
import { keyOf } from './keys.js'
import { tell } from './topics.js'

export interface GroupFlags extends ClusterFlags {
  readonly state?: readonly string[]
  readonly type?: readonly string[]
  readonly topic?: readonly string[]
  readonly partition?: string
  readonly to?: string
  readonly dryRun?: boolean
  readonly members?: boolean
}

const TYPES: readonly GroupType[] = ['classic', 'consumer', 'share', 'streams']

export async function listGroups(run: Run, _words: readonly string[], { state, type }: GroupFlags): Promise<number> {
  const types = (type ?? []).map((word) => {
    const known = TYPES.find((one) => one === word)
    if (known === undefined) throw new UsageError(`--type: expected one of ${TYPES.join(', ')}, got '${word}'`)
    return known
  })
  const groups = await run.admin(run.settings()).listGroups({ states: state ?? [], types, ...run.limits })
  await run.out.table(groups, {
    group: ({ groupId }) => groupId,
    state: (group) => group.state,
    type: (group) => group.type,
    protocol: ({ protocolType }) => protocolType,
  })
  return OK
}

export async function describeGroups(run: Run, groupIds: readonly string[], flags: GroupFlags): Promise<number> {
  const admin = run.admin(run.settings())
  let exitCode: number = OK
  for (const group of await admin.describeGroups(groupIds, run.limits)) {
    if (group.error !== undefined) {
      exitCode = FAILED
      await tell(run, group.groupId, group.error, { groupId: group.groupId }, '')
      continue
    }
    const lag = await admin.groupLag(group.groupId, run.limits)
    if (run.out.isJson) await run.out.json({ ...group, offsets: lag, lag: total(lag) })
    else await show(run, group, lag, flags.members === true)
  }
  return exitCode
}

async function show(run: Run, group: GroupDescription, lag: readonly GroupLag[], showsMembers: boolean): Promise<void> {
  const { groupId, state, type, assignor, coordinator, members } = group
  const by = assignor === '' ? '' : `, ${assignor}`
  await run.out.line(
    `${groupId}: ${state} (${type}${by}), ${plural(members.length, 'member')}, coordinator ${coordinator}`,
  )
  const clients = new Map(members.map(({ memberId, clientId, host }) => [memberId, `${clientId} ${host}`]))
  await run.out.table(lag, {
    '  topic': ({ topic }) => `  ${topic}`,
    partition: ({ partition }) => partition,
    committed: ({ committed }) => (committed < 0 ? '-' : committed),
    'log end': ({ logEnd }) => logEnd,
    lag: (row) => row.lag,
    client: ({ memberId }) => clients.get(memberId) ?? '-',
  })
  if (lag.length > 0) await run.out.line(`  lag in all: ${total(lag)}`)
  if (!showsMembers) return
  await run.out.table(members, {
    '  member': ({ memberId }) => `  ${memberId}`,
    instance: ({ instanceId }) => instanceId ?? '-',
    client: ({ clientId }) => clientId,
    host: (member) => member.host,
    partitions: ({ assignment }) => assignment.map(keyOf).join(' ') || '-',
  })
}

function total(lag: readonly GroupLag[]): number {
  return lag.reduce((sum, row) => sum + row.lag, 0)
}

export async function deleteGroups(run: Run, groupIds: readonly string[]): Promise<number> {
  const results = await run.admin(run.settings()).deleteGroups(groupIds, run.limits)
  for (const { groupId, error } of results) {
    await tell(run, groupId, error, { groupId, deleted: error === undefined }, `${groupId} deleted`)
  }
  return results.some(({ error }) => error !== undefined) ? FAILED : OK
}

export async function resetGroup(run: Run, [groupId = '']: readonly string[], flags: GroupFlags): Promise<number> {
  const { topic: topics = [], to, partition, dryRun = false } = flags
  if (topics.length === 0) throw new UsageError('groups reset: name the topic with -t')
  if (to === undefined)
    throw new UsageError('groups reset: say where to with --to: earliest, latest, <offset> or s@<time>')
  const target = targetOf(to)
  const partitions = partition === undefined ? undefined : partitionList(partition)
  const admin = run.admin(run.settings())
  for (const topic of topics) {
    const rows = await admin.resetOffsets(groupId, topic, { to: target, partitions, dryRun, ...run.limits })
    await run.out.table(rows, {
      topic: (row) => row.topic,
      partition: (row) => row.partition,
      before: ({ before }) => (before < 0 ? '-' : before),
      [dryRun ? 'would be' : 'now']: (row) => row.offset,
    })
  }
  return OK
}

function targetOf(word: string): OffsetTarget {
  const start = startOf(word)
  if (start.kind === 'beginning') return 'earliest'
  if (start.kind === 'end') return 'latest'
  if (start.kind === 'absolute') return { offset: start.offset }
  if (start.kind === 'time') return { timestamp: start.timestamp }
  throw new UsageError(`--to: expected earliest, latest, <offset> or s@<time>, got '${word}'`)
}
