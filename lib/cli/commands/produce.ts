/**
 * `produce`: records from stdin or files to a topic.
 * Invariant: exit 0 means that every record that was read has been acknowledged; a signal ends the reading, and what was
 * read is still delivered.
 */
import { createReadStream } from 'node:fs'
import { MQError, type Producer, type RecordMetadata, type SendOptions } from '../../index.js'
import { unescaped } from '../escapes.js'
import { FAILED, OK } from '../exit-codes.js'
import { amount, count, plural } from '../output.js'
import { textOf } from '../report.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { split } from '../split.js'
import { integer, MAX_PARTITION, pair, UsageError } from '../usage.js'
import { type Draft, fromJson } from './json-records.js'

export interface ProduceFlags extends ClusterFlags {
  readonly topic?: string
  readonly partition?: string
  readonly key?: string
  readonly keyDelimiter?: string
  readonly delimiter: string
  readonly header?: readonly string[]
  readonly compression?: string
  readonly lines?: boolean
  readonly null?: boolean
  readonly count?: string
  readonly tee?: boolean
  readonly fromJson?: boolean
}

/** A failed record is told; of thousands only the first few. */
const TOLD_FAILURES = 5
/** Largest record of all: what a batch may hold (`producer.maxBatchBytes` is at most this). */
const LIMIT_BYTES = 104_857_600
/** For a topic that is not there (yet): nobody wants to look at a silent terminal for a minute. Milliseconds. */
const PATIENCE_MS = 10_000
/** Records on their way, at most: the memory of a producer counts their bytes, not what waits here to be told of each. */
const MOST_UNSETTLED = 100_000

interface Tally {
  accepted: number
  acknowledged: number
  failed: number
  bytes: number
}

export async function produce(run: Run, files: readonly string[], flags: ProduceFlags): Promise<number> {
  const { topic } = flags
  if (topic === undefined) throw new UsageError("produce: name the topic with -t, such as 'produce -t orders'")
  if (flags.lines === true && files.length !== 1) throw new UsageError('-l: expected one file')
  const limit = flags.count === undefined ? Number.POSITIVE_INFINITY : integer('-c', flags.count, 1)
  const toRecord = recordMaker(flags)
  const settings = run.settings({
    wishes: [['producer.compression', flags.compression]],
    defaults: [['producer.maxBlockMs', run.timeoutMs ?? PATIENCE_MS]],
  })
  const producer = run.producer(settings)
  const sending = new Sending(run, producer, topic)
  const stop = run.io.signal
  run.out.startProgress(() => sending.story())
  try {
    for await (const piece of pieces(run, files, flags)) {
      if (stop.aborted || sending.isHopeless || sending.tally.accepted >= limit) break
      const record = toRecord(piece)
      if (record === null) continue
      await sending.send(record)
      if (flags.tee === true) await run.out.bytes(Buffer.concat([piece, unescaped(flags.delimiter)]))
    }
  } catch (error) {
    throw sending.tally.accepted === 0 ? error : interrupted(error)
  }
  return sending.end()
}

/** What is wrong with the input is no wrong command line any more when records before it are on their way. */
function interrupted(error: unknown): unknown {
  return error instanceof UsageError ? new MQError('SERIALIZATION_FAILED', error.message) : error
}

class Sending {
  readonly tally: Tally = { accepted: 0, acknowledged: 0, failed: 0, bytes: 0 }
  /** An error after which no further record can succeed. */
  isHopeless = false
  readonly #run: Run
  readonly #producer: Producer
  readonly #topic: string
  readonly #fromMs = performance.now()
  #acknowledged: RecordMetadata[] = []
  #told = 0
  #goOn: () => void = () => {}
  readonly #settle = (error: Error | null, metadata: RecordMetadata | null) => this.#settled(error, metadata)

  constructor(run: Run, producer: Producer, topic: string) {
    this.#run = run
    this.#producer = producer
    this.#topic = topic
  }

  async send({ value, options }: Draft): Promise<void> {
    this.tally.accepted++
    this.tally.bytes += (value?.length ?? 0) + (options.key?.length ?? 0)
    const hasRoom = this.#producer.sendAsync(this.#topic, value, options, this.#settle)
    if (!hasRoom) await this.#producer.ready().catch(() => {}) // Closed or late: the record itself tells why.
    if (this.#unsettled >= MOST_UNSETTLED) await new Promise<void>((resolve) => (this.#goOn = resolve))
    if (this.#acknowledged.length >= 1000) await this.#tellAcknowledged()
  }

  story(): string {
    const { acknowledged, failed, bytes } = this.tally
    const seconds = Math.max(0.001, (performance.now() - this.#fromMs) / 1000)
    const trouble = failed === 0 ? '' : `, ${count(failed)} failed`
    return `${plural(acknowledged, 'record')} (${amount(bytes)})${trouble}, ${count(Math.round(acknowledged / seconds))}/s`
  }

  /** Everything that was read is settled then. */
  async end(): Promise<number> {
    const { timeoutMs } = this.#run
    try {
      await this.#producer.flush(timeoutMs === undefined ? {} : { timeoutMs })
    } catch (error) {
      if (!(error instanceof MQError) || !error.is('TIMEOUT')) throw error
      await this.#run.out.note(`tandem-mq: ${textOf(error)}`)
    }
    const { unsentRecords } = await this.#producer.close()
    await new Promise((resolve) => setImmediate(resolve)) // A record that was refused is told in a turn of its own.
    await this.#tellAcknowledged()
    const { acknowledged, failed } = this.tally
    if (this.#run.out.isJson)
      await this.#run.out.json({ summary: { topic: this.#topic, ...this.tally, unsent: unsentRecords } })
    if (failed > this.#told) await this.#run.out.note(`tandem-mq: ${plural(failed - this.#told, 'further failure')}`)
    await this.#run.out.summary(`produced ${this.story()} to ${this.#topic}`)
    return failed > 0 || unsentRecords > 0 || acknowledged < this.tally.accepted ? FAILED : OK
  }

  get #unsettled(): number {
    const { accepted, acknowledged, failed } = this.tally
    return accepted - acknowledged - failed
  }

  #settled(error: Error | null, metadata: RecordMetadata | null): void {
    this.#count(error, metadata)
    if (this.#unsettled <= MOST_UNSETTLED / 2) this.#goOn()
  }

  #count(error: Error | null, metadata: RecordMetadata | null): void {
    if (error === null) {
      this.tally.acknowledged++
      if (this.#run.out.isJson && metadata !== null) this.#acknowledged.push(metadata)
      return
    }
    this.tally.failed++
    const known = error instanceof MQError ? error : new MQError('PRODUCE_FAILED', error.message)
    this.isHopeless ||= known.fatal || known.is('TOPIC_NOT_FOUND') || known.family === 'auth'
    if (this.#told < TOLD_FAILURES) {
      this.#told++
      void this.#run.out.note(`tandem-mq: ${textOf(known)}`)
    }
  }

  async #tellAcknowledged(): Promise<void> {
    const lines = this.#acknowledged
    this.#acknowledged = []
    if (lines.length > 0)
      await this.#run.out.bytes(Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join('')))
  }
}

/** Whole files, or what stands between delimiters. */
async function* pieces(run: Run, files: readonly string[], flags: ProduceFlags): AsyncGenerator<Buffer> {
  const isSplit = files.length === 0 || flags.lines === true || flags.fromJson === true
  const sources = files.length === 0 ? [untilStopped(run.io.stdin, run.io.signal)] : files.map(fileStream)
  for (const source of sources) {
    if (isSplit) yield* split(source, delimiterOf('-D', flags.delimiter), LIMIT_BYTES)
    else yield await whole(source)
  }
}

async function* fileStream(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path)
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${(error as { code?: string }).code ?? 'unknown reason'})`)
  }
}

async function whole(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A terminal may stay silent for ever: a signal ends the wait for it too. */
async function* untilStopped(source: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = source[Symbol.asyncIterator]()
  const stopped = new Promise<IteratorResult<Uint8Array>>((resolve) => {
    const end = () => resolve({ done: true, value: undefined })
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
  for (;;) {
    const next = await Promise.race([reader.next(), stopped])
    if (next.done === true) return
    yield next.value
  }
}

export function delimiterOf(what: string, text: string): Buffer {
  const bytes = unescaped(text)
  if (bytes.length === 0) throw new UsageError(`${what}: expected a delimiter that is not empty`)
  return bytes
}

/** What a piece of input means; null: nothing (kcat leaves empty lines out). */
function recordMaker(flags: ProduceFlags): (piece: Buffer) => Draft | null {
  const base: SendOptions = {
    ...partitionOption(flags.partition),
    ...(flags.header === undefined ? {} : { headers: flags.header.map(headerOf) }),
  }
  if (flags.fromJson === true) return (piece) => (piece.length === 0 ? null : fromJson(piece, base))
  const fixed = flags.key === undefined ? null : Buffer.from(flags.key)
  const keyDelimiter = flags.keyDelimiter === undefined ? null : delimiterOf('-K', flags.keyDelimiter)
  const emptyMeans = (bytes: Buffer) => (bytes.length === 0 && flags.null === true ? null : bytes)
  return (piece) => {
    if (piece.length === 0) return null
    const at = keyDelimiter === null ? -1 : piece.indexOf(keyDelimiter)
    if (keyDelimiter === null || at < 0) return { value: emptyMeans(piece), options: { ...base, key: fixed } }
    const key = emptyMeans(piece.subarray(0, at))
    return { value: emptyMeans(piece.subarray(at + keyDelimiter.length)), options: { ...base, key } }
  }
}

/** -1: the partitioner decides, as without `-p`. */
function partitionOption(text: string | undefined): { partition?: number } {
  if (text === undefined) return {}
  const partition = integer('-p', text, -1, MAX_PARTITION)
  return partition < 0 ? {} : { partition }
}

/** `-H name` alone has a null value. */
function headerOf(text: string): [string, Buffer | null] {
  if (!text.includes('=')) return [text, null]
  const [name, value] = pair('-H', text)
  return [name, Buffer.from(value)]
}
