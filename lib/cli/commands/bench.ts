/**
 * `bench`: how many records per second this machine and this cluster manage, with every record accounted for.
 * Why verified: a rate of records that are lost or doubled is no rate. Each value begins with its number; what was read
 * is compared with what was acknowledged, by a bit per record.
 * Invariant: the topic is made for the run and deleted with it; produce and consume are two measurements.
 */
import { randomUUID } from 'node:crypto'
import { createBroker } from '../../broker/index.js'
import type { ResolvedConfig } from '../../index.js'
import { FAILED, OK } from '../exit-codes.js'
import { amount, count } from '../output.js'
import type { Run } from '../run.js'
import { type ClusterFlags, namesBrokers } from '../settings.js'
import { integer } from '../usage.js'

export interface BenchFlags extends ClusterFlags {
  readonly records: string
  readonly size: string
  readonly partitions: string
  readonly replicationFactor: string
  readonly compression?: string
  readonly keepTopic?: boolean
}

const NUMBER_BYTES = 8
const MAX_RECORDS = 1_000_000_000
const MAX_BYTES = 1_000_000
const MAX_PARTITIONS = 10_000
const READ_RECORDS = 5_000
/** Silence after which what is missing is missing. Milliseconds. */
const SILENCE_MS = 10_000

interface Rate {
  readonly records: number
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
}

export async function bench(run: Run, _words: readonly string[], flags: BenchFlags): Promise<number> {
  const records = integer('--records', flags.records, 1, MAX_RECORDS)
  const size = integer('--size', flags.size, NUMBER_BYTES, MAX_BYTES)
  const partitions = integer('--partitions', flags.partitions, 1, MAX_PARTITIONS)
  const replicationFactor = integer('--replication-factor', flags.replicationFactor, 1, 0x7fff)
  const isEmbedded = !namesBrokers(flags, run.io.env)
  const embedded = isEmbedded ? run.keep(await createBroker()) : null
  const settings = run.settings({
    wishes: [
      ['brokers', embedded?.bootstrap],
      ['producer.compression', flags.compression],
    ],
  })
  const admin = run.admin(settings)
  const topic = `tandem-mq-bench-${randomUUID().slice(0, 8)}`
  await admin.createTopic({ name: topic, partitions, replicationFactor }, run.limits)
  try {
    const sent = await produceAll(run, settings, topic, records, size)
    const { seen, doubled, ...read } = await consumeAll(run, settings, topic, sent.records)
    const verdict = { lost: sent.records - seen, doubled, failed: records - sent.records }
    const isGood = verdict.lost === 0 && doubled === 0 && (sent.records === records || run.io.signal.aborted)
    const result = {
      topic,
      size,
      partitions,
      embedded: isEmbedded,
      produce: sent,
      consume: read,
      ...verdict,
      ok: isGood,
    }
    await run.out.either(result, [
      line('produced', sent),
      line('consumed', read),
      isGood
        ? `verified: all ${count(sent.records)} acknowledged records were read once${isEmbedded ? ' (embedded broker, in the same process)' : ''}`
        : `NOT verified: ${count(verdict.lost)} lost, ${count(doubled)} doubled, ${count(verdict.failed)} failed`,
    ])
    return isGood ? OK : FAILED
  } finally {
    if (flags.keepTopic !== true) await admin.deleteTopic(topic)
  }
}

function line(verb: string, { records, seconds, recordsPerSecond, bytesPerSecond }: Rate): string {
  return `${verb} ${count(records)} records in ${seconds.toFixed(2)} s: ${count(recordsPerSecond)} records/s, ${amount(bytesPerSecond)}/s`
}

async function produceAll(
  run: Run,
  settings: ResolvedConfig,
  topic: string,
  records: number,
  size: number,
): Promise<Rate> {
  const producer = run.producer(settings)
  await producer.connect()
  const value = Buffer.alloc(size, 'x')
  let acknowledged = 0
  const settled = (error: Error | null) => {
    if (error === null) acknowledged++
  }
  run.out.startProgress(() => `produced ${count(acknowledged)} of ${count(records)}`)
  const fromMs = performance.now()
  for (let n = 0; n < records && !run.io.signal.aborted; n++) {
    value.writeBigUInt64BE(BigInt(n)) // The producer copies it before it returns.
    if (!producer.sendAsync(topic, value, undefined, settled)) await producer.ready()
  }
  await producer.flush()
  const rate = rateOf(acknowledged, size, fromMs)
  await producer.close()
  run.out.endProgress()
  return rate
}

async function consumeAll(run: Run, settings: ResolvedConfig, topic: string, expected: number) {
  const consumer = run.consumer(settings)
  const seenBits = new Uint8Array(Math.ceil(expected / 8) + 1)
  let seen = 0
  let doubled = 0
  let bytes = 0
  run.out.startProgress(() => `consumed ${count(seen)} of ${count(expected)}`)
  const fromMs = performance.now()
  await consumer.assign([topic], { from: 'earliest' })
  while (seen < expected) {
    const records = await consumer.readBatch(READ_RECORDS, { timeoutMs: SILENCE_MS })
    if (records.length === 0) break
    for (const { value } of records) {
      const number = value === null || value.length < NUMBER_BYTES ? -1 : Number(value.readBigUInt64BE())
      const bit = 1 << (number & 7)
      const at = number >>> 3
      bytes += value?.length ?? 0
      if (number < 0 || ((seenBits[at] ?? 0) & bit) !== 0) doubled++
      else seen++
      seenBits[at] = (seenBits[at] ?? 0) | bit
    }
  }
  const rate = rateOf(seen, seen === 0 ? 0 : bytes / seen, fromMs)
  await consumer.close()
  run.out.endProgress()
  return { ...rate, seen, doubled }
}

function rateOf(records: number, size: number, fromMs: number): Rate {
  const seconds = Math.max(0.001, (performance.now() - fromMs) / 1000)
  return {
    records,
    seconds,
    recordsPerSecond: Math.round(records / seconds),
    bytesPerSecond: Math.round((records * size) / seconds),
  }
}
