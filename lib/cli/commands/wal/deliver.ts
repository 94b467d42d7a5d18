/**
 * `wal recover --brokers`: a producer that sends nothing of its own opens the log, resolves what is in doubt, and
 * delivers what is left. What stays undecidable is held; with a policy and the streams it is meant for, decided.
 * Why it always opens with 'hold': a policy is then a decision about streams that were seen, not a setting that may
 * meet others. Invariant: exit 0 or 1 only when the log holds nothing any more. Source: wal.md 4.2, 5.
 */
import type { HeldStream, MQError, Producer, WalEdge, WalRecovery } from '../../../index.js'
import type { Survey } from '../../../wal/index.js'
import { count, plural } from '../../output.js'
import type { Run } from '../../run.js'
import { WalExit } from './exit-codes.js'
import type { Ambiguous, StreamName } from './flags.js'
import { bytesOf, durabilityOf } from './opening.js'

export interface DeliverOptions {
  readonly policy: Ambiguous
  /** Empty: every held one. */
  readonly streams: readonly StreamName[]
}

const GIB = 1024 ** 3
const MIB = 1024 ** 2
const SEGMENTS = 8
const BATCHES_PER_SEGMENT = 4

export async function deliver(run: Run, dir: string, survey: Survey, options: DeliverOptions): Promise<number> {
  const producer = run.producer(settingsOf(run, dir, survey))
  const told = listen(run, producer)
  run.out.startProgress(() => told.progress())
  const end = until(run)
  try {
    await end.orEarlier(settleAll(producer, options, end.signal))
  } finally {
    end.clear()
    run.out.endProgress()
  }
  const held = [...producer.heldStreams]
  const figures = producer.walMeasures()
  // Who stops the command does not wait for brokers any more.
  const { inWalRecords } = await producer.close(end.signal.aborted ? { timeoutMs: 0 } : {})
  await summary(run, held, inWalRecords, figures)
  for (const error of told.errors) throw error
  if (inWalRecords > 0) return WalExit.unfinished
  if (figures !== null && figures.log.holeRecords > 0) return WalExit.corrupt
  return (figures?.log.tornBytes ?? 0) > 0 ? WalExit.torn : WalExit.clean
}

function settingsOf(run: Run, dir: string, survey: Survey) {
  const { segmentBytes } = survey.manifest
  return run.settings({
    wishes: [
      ['wal.dir', dir],
      ['wal.durability', durabilityOf(survey)],
      ['wal.segmentBytes', segmentBytes],
      ['wal.onAmbiguous', 'hold'],
    ],
    defaults: [
      ['wal.maxBytes', Math.max(GIB, SEGMENTS * segmentBytes, 2 * bytesOf(survey))],
      ['producer.maxBatchBytes', Math.min(MIB, segmentBytes / BATCHES_PER_SEGMENT)],
    ],
  })
}

/** Everything that was in the log is delivered or held; the held ones are decided as the options say. */
async function settleAll(producer: Producer, { policy, streams }: DeliverOptions, signal: AbortSignal): Promise<void> {
  await producer.connect()
  await producer.walRecovered()
  await producer.flush({ signal })
  if (policy === 'hold') return
  const isMeant = ({ topic, partition }: StreamName) =>
    streams.length === 0 || streams.some((one) => one.topic === topic && one.partition === partition)
  for (const { topic, partition } of producer.heldStreams.filter(isMeant)) {
    await producer.resolveHeld(topic, partition, policy)
  }
  await producer.flush({ signal })
}

interface End {
  readonly signal: AbortSignal
  /** Resolves with the task, or when the command is to end; the task's own error rejects. */
  orEarlier(task: Promise<void>): Promise<void>
  clear(): void
}

/** `-m`, or somebody who stops the command: what is left stays in the log. */
function until(run: Run): End {
  const limit = new AbortController()
  const { timeoutMs } = run
  const timer = timeoutMs === undefined ? null : setTimeout(() => limit.abort(), timeoutMs)
  const signal = AbortSignal.any([run.io.signal, limit.signal])
  return {
    signal,
    orEarlier: (task) => {
      const ended = new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
      const guarded = task.catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
      return Promise.race([guarded, ended])
    },
    clear: () => {
      if (timer !== null) clearTimeout(timer)
    },
  }
}

interface Told {
  progress(): string
  readonly errors: MQError[]
}

function listen(run: Run, producer: Producer): Told {
  let step: WalRecovery | null = null
  const errors: MQError[] = []
  producer.on('walRecovery', (next) => {
    step = next
  })
  producer.on('walEdge', (edge) => void tellEdge(run, edge))
  producer.on('dataLoss', (dataLoss) => {
    const { topic, partition, from, to } = dataLoss
    const text = `${topic}:${partition}: brokers lost what they had acknowledged, sequence numbers ${from}..${to}`
    void run.out.either({ dataLoss }, [text])
  })
  producer.on('walDegraded', (error) => void run.out.note(`a write failed, and went elsewhere: ${error.message}`))
  producer.on('walFailed', (error) => errors.push(error))
  producer.on('error', (error) => void run.out.note(`${error.code}: ${error.message}`))
  return { errors, progress: () => progressOf(step) }
}

function progressOf(step: WalRecovery | null): string {
  if (step === null) return 'recover: begins'
  const { phase, entries, resolved, held, etaMs } = step
  const eta = etaMs < 0 ? '' : `, ${count(Math.ceil(etaMs / 1_000))} s left`
  return `recover: ${phase}, ${count(resolved)} of ${count(entries)} batches decided, ${plural(held, 'stream')} held${eta}`
}

async function tellEdge(run: Run, edge: WalEdge): Promise<void> {
  const { topic, partition, firstPosition, lastPosition, records, status, action } = edge
  const where = `${topic}:${partition} positions ${firstPosition}..${lastPosition}`
  await run.out.either({ edge }, [`${edge.case}: ${where}: ${plural(records, 'record')} ${status}, ${action}`])
}

async function summary(
  run: Run,
  held: readonly HeldStream[],
  left: number,
  figures: ReturnType<Producer['walMeasures']>,
): Promise<void> {
  const verdicts = Object.fromEntries(figures?.verdicts ?? [])
  const settled = figures?.log.settledRecords ?? {}
  const lines = [
    ...held.map((one) => `held: ${one.topic}:${one.partition}, ${plural(one.records, 'record')} (${one.case})`),
    left === 0 ? 'everything in the log is settled' : `${plural(left, 'record')} left in the log`,
  ]
  await run.out.either({ settled, verdicts, held, left }, lines)
}
