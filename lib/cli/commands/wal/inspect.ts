/** `wal inspect`: what a log holds. Read-only, also beside the producer that writes it. Source: wal.md 5. */
import { systemClock } from '../../../index.js'
import type { LockOwner, OpenBody } from '../../../wal/index.js'
import { amount, count, plural } from '../../output.js'
import type { Run } from '../../run.js'
import { exitOf, lineOf } from './findings.js'
import { dirOf, type WalFlags } from './flags.js'
import { type Look, look } from './look.js'
import { type Picture, pictureOf, type RangePicture } from './picture.js'

export async function inspect(run: Run, _words: readonly string[], flags: WalFlags): Promise<number> {
  const dir = dirOf(flags)
  const seen = await look(run, dir, 'inspect')
  const picture = pictureOf(dir, seen.survey, seen.findings, seen)
  if (run.out.isJson) await run.out.json(picture)
  else await show(run, picture, seen)
  return exitOf(seen.findings)
}

async function show(run: Run, picture: Picture, seen: Look): Promise<void> {
  for (const line of headOf(picture, seen)) await run.out.line(line)
  await run.out.line('segments')
  await run.out.table(picture.segments, {
    '  file': ({ file }) => `  ${file}`,
    state: ({ state }) => state,
    'used up to': ({ end }) => count(end),
    'last LSN': ({ lastLsn }) => count(lastLsn),
    'unsettled records': ({ unsettledRecords }) => count(unsettledRecords),
    'live bytes': ({ liveBytes }) => count(liveBytes),
  })
  if (picture.streams.length > 0) await run.out.line('streams')
  await run.out.table(picture.streams, {
    '  stream': ({ topic, partition }) => (topic === '' ? '  queue' : `  ${topic}:${partition}`),
    positions: ({ nextPosition }) => count(nextPosition),
    'settled below': ({ settledThrough }) => count(settledThrough),
    unsettled: ({ unsettled }) => shownRange(unsettled),
    'in doubt': ({ inDoubt }) => shownRange(inDoubt),
    held: ({ isHeld }) => (isHeld ? 'held, or being resolved' : ''),
    'last offset': ({ lastAckedOffset }) => (lastAckedOffset < 0 ? '-' : lastAckedOffset),
  })
  const identities = picture.identities as readonly { producerId: string; epoch: number; clusterId: string }[]
  if (identities.length > 0) await run.out.line('identities')
  await run.out.table(identities, {
    '  producer id': ({ producerId }) => `  ${producerId}`,
    epoch: ({ epoch }) => epoch,
    cluster: ({ clusterId }) => clusterId,
  })
  if (picture.holes.length > 0) await run.out.line('holes: losses that were told and accepted')
  await run.out.table(seen.survey.holes, {
    '  LSN': ({ fromLsn, toLsn }) => `  ${fromLsn}..${toLsn}`,
    verdict: ({ verdict }) => verdict,
    segment: ({ segment }) => segment,
    records: ({ ranges }) => count(ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)),
  })
  if (seen.findings.length > 0) await run.out.line('findings')
  for (const finding of seen.findings) await run.out.line(`  ${lineOf(finding)}`)
}

function headOf(picture: Picture, { survey, owner }: Look): string[] {
  const { dir, walId, format, lock, segmentBytes, clusterId, lastLsn, unsettledRecords, unsettledBatches } = picture
  const { lastOpen } = survey
  const doubtful = picture.streams.reduce((sum, { inDoubt }) => sum + inDoubt.batches, 0)
  const total = [...survey.segments.map(({ bytes }) => bytes)].reduce((sum, bytes) => sum + bytes, 0)
  return [
    `${dir}: log ${walId} of a ${picture.owner}, format ${format}, lock ${lock}`,
    `  opened     ${lastOpen === null ? 'never' : openedBy(lastOpen)}`,
    `  state      ${stateOf(picture, owner)}`,
    `  segments   ${survey.segments.length} of ${amount(segmentBytes)} (${amount(total)}), ${plural(picture.spares, 'spare')}, last LSN ${count(lastLsn)}`,
    `  unsettled  ${plural(unsettledRecords, 'record')} in ${count(unsettledBatches)} batches, ${count(doubtful)} of them in doubt`,
    ...(clusterId === '' ? [] : [`  cluster    ${clusterId}`]),
  ]
}

function openedBy({ incarnation, incarnationId, openedAtMs, pid, host, durability, version }: OpenBody): string {
  const at = new Date(openedAtMs).toISOString()
  return `as incarnation ${incarnation} (${incarnationId}) at ${at} by process ${pid} on ${host}, ${durability}, release ${version}`
}

/** LOCK is information only: a process of that number may be another one by now, so nothing is claimed of it. */
function stateOf({ isClosed, isMoving }: Picture, owner: LockOwner | null): string {
  const who = owner === null ? '' : ` by process ${owner.pid} on ${owner.host}`
  if (isMoving) return `being written${who}, seen at ${new Date(systemClock.now()).toISOString()}`
  return isClosed ? 'closed' : `not closed: in use${who}, or its owner died`
}

function shownRange({ batches, records, from, to }: RangePicture): string {
  return batches === 0 ? '-' : `${count(records)} (positions ${from}..${to})`
}
