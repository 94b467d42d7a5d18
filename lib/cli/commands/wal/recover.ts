/**
 * `wal recover`: what the next start of the producer does, now and by hand. Alone it is the local phase (wal.md 4.1);
 * with brokers named also the resolution (4.2), until everything is delivered, held, or nobody wants to wait any more.
 * Why TANDEM_BROKERS does not count: who looks at a log must not deliver it because a variable is set.
 * Source: wal.md 4, 5.
 */
import type { StreamFacts, Survey, Wal } from '../../../wal/index.js'
import { count, plural } from '../../output.js'
import type { Run } from '../../run.js'
import { namesBrokers } from '../../settings.js'
import { integer, MAX_PARTITION, UsageError } from '../../usage.js'
import { deliver } from './deliver.js'
import { WalExit } from './exit-codes.js'
import { exportRecords } from './export.js'
import { type Ambiguous, dirOf, type RecoverFlags, type StreamName } from './flags.js'
import { look } from './look.js'
import { openLog, optionsFor } from './opening.js'

const POLICIES: readonly Ambiguous[] = ['hold', 'drop', 'resend']

export async function recover(run: Run, _words: readonly string[], flags: RecoverFlags): Promise<number> {
  const dir = dirOf(flags)
  const streams = (flags.stream ?? []).map(streamOf)
  const policy = policyOf(flags.onAmbiguous)
  const isDelivery = namesBrokers(flags, {})
  if (flags.export !== undefined && isDelivery) throw new UsageError('--export sends nothing: leave --brokers out')
  if (flags.onAmbiguous !== undefined && !isDelivery) {
    throw new UsageError('--on-ambiguous needs --brokers: only they can tell what is ambiguous')
  }
  if (streams.length > 0 && flags.export === undefined && policy === 'hold') {
    throw new UsageError('--stream needs --export, or --on-ambiguous drop or resend')
  }
  const { survey } = await look(run, dir, 'look')
  if (isDelivery) return deliver(run, dir, survey, { policy, streams })
  return recoverLocally(run, dir, survey, flags.export, streams)
}

async function recoverLocally(
  run: Run,
  dir: string,
  survey: Survey,
  file: string | undefined,
  names: readonly StreamName[],
): Promise<number> {
  const { wal: settings } = run.settings().producer
  const wal = await openLog(run, optionsFor(settings, dir, survey, settings.onCorruption), 'recover')
  try {
    const streams = chosen(wal, names)
    const exported = file === undefined ? null : await exportRecords(run, wal, survey.manifest.owner, streams, file)
    await tell(run, wal, file, exported)
  } finally {
    await wal.close()
  }
  const { tornBytes, discardedUnaccepted, holes } = wal.recovered
  if (holes.some(({ verdict }) => verdict === 'corrupt')) return WalExit.corrupt
  return tornBytes > 0 || discardedUnaccepted > 0 || holes.length > 0 ? WalExit.torn : WalExit.clean
}

function chosen(wal: Wal, names: readonly StreamName[]): StreamFacts[] {
  const all = [...wal.streams]
  if (names.length === 0) return all
  for (const { topic, partition } of names) {
    if (!all.some((stream) => stream.topic === topic && stream.partition === partition)) {
      throw new UsageError(`--stream: this log has no ${topic}:${partition}; 'wal inspect' shows those it has`)
    }
  }
  return all.filter((stream) =>
    names.some((name) => name.topic === stream.topic && name.partition === stream.partition),
  )
}

async function tell(run: Run, wal: Wal, file: string | undefined, exported: number | null): Promise<void> {
  const { entries, records, tornBytes, discardedUnaccepted, holes, previous } = wal.recovered
  const { incarnation } = wal
  const told = {
    ...{ dir: wal.dir, incarnation, previous, records, batches: entries, tornBytes, discardedUnaccepted, holes },
    ...(exported === null ? {} : { exported }),
  }
  const text = [
    `${wal.dir}: ${plural(records, 'record')} in ${count(entries)} batches to be delivered, ${count(tornBytes)} B of a torn tail cut`,
    ...(discardedUnaccepted > 0 ? [`  ${plural(discardedUnaccepted, 'frame')} that nobody was promised, cut`] : []),
    ...holes.map(({ fromLsn, toLsn, verdict }) => `  LSN ${fromLsn}..${toLsn} lost: ${verdict}`),
    ...(exported === null ? [] : [`  ${plural(exported, 'record')} written to ${file === '-' ? 'stdout' : file}`]),
  ]
  // With the records on stdout, what is said about them stands beside.
  if (file !== '-') return run.out.either(told, text)
  if (run.out.isJson) return run.out.note(JSON.stringify(told))
  for (const line of text) await run.out.note(line)
}

function policyOf(word: string | undefined): Ambiguous {
  const policy = POLICIES.find((one) => one === (word ?? 'hold'))
  if (policy !== undefined) return policy
  throw new UsageError(`--on-ambiguous: expected one of ${POLICIES.join(', ')}, got '${word}'`)
}

function streamOf(word: string): StreamName {
  const at = word.lastIndexOf(':')
  if (at <= 0) throw new UsageError(`--stream: expected topic:partition, got '${word}'`)
  return {
    topic: word.slice(0, at),
    partition: integer('the partition of --stream', word.slice(at + 1), 0, MAX_PARTITION),
  }
}
