/**
 * Kafka's own Java tools as independent readers: ConsoleConsumer for records, DumpLogSegments for the batches on disk.
 * Invariant: separators are control characters that no test value contains; a record that does not parse is an error.
 * Source: kafka.md 7.1, oracles.
 */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { endOffsets } from './interop-kafkajs.js'
import { inLogOrder, type ReadHeader, type ReadRecord } from './interop-records.js'

const run = promisify(execFile)
const FIELD = '\u001f'
const RECORD = '\u001e'
const PAIR = '\u001d'
const NULL = '\u0018'
const TOOL_LIMIT_MS = 40_000
const SILENCE_LIMIT_MS = 10_000
const GROUP_ATTEMPTS = 3
const MAX_OUTPUT_BYTES = 512 * 1024 * 1024

async function java(jarFolder: string, args: readonly string[]): Promise<Buffer> {
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jarFolder, '*')]
  const options = { encoding: 'buffer', maxBuffer: MAX_OUTPUT_BYTES, timeout: TOOL_LIMIT_MS } as const
  const { stdout } = await run('java', [...flags, ...args], options)
  return stdout
}

/**
 * Everything the topic holds now, through the Java consumer. Without a group, one partition after the other, unless
 * `asGroup`: a group that forms before its leader has heard of a new topic gets no partitions for minutes.
 */
export async function readWithJava(
  brokers: readonly string[],
  jarFolder: string,
  topic: string,
  asGroup = false,
): Promise<ReadRecord[]> {
  const ends = await endOffsets(brokers, topic)
  if (asGroup) {
    const all = ends.reduce((sum, end) => sum + end, 0)
    return inLogOrder(await readSome(brokers, jarFolder, topic, ['--from-beginning'], all))
  }
  const records: ReadRecord[] = []
  for (const [partition, end] of ends.entries()) {
    if (end === 0) continue
    const from = ['--partition', String(partition), '--offset', 'earliest']
    records.push(...(await readSome(brokers, jarFolder, topic, from, end)))
  }
  return inLogOrder(records)
}

async function readSome(
  brokers: readonly string[],
  jarFolder: string,
  topic: string,
  from: readonly string[],
  expected: number,
): Promise<ReadRecord[]> {
  const properties = {
    'print.timestamp': 'true',
    'print.partition': 'true',
    'print.offset': 'true',
    'print.headers': 'true',
    'print.key': 'true',
    'print.value': 'true',
    'key.separator': FIELD,
    'line.separator': RECORD,
    'headers.separator': PAIR,
    'null.literal': NULL,
  }
  const args = [
    'org.apache.kafka.tools.consumer.ConsoleConsumer',
    ...['--bootstrap-server', brokers.join(','), '--topic', topic, ...from],
    ...['--max-messages', String(expected), '--timeout-ms', String(SILENCE_LIMIT_MS)],
    ...['--consumer-property', 'check.crcs=true'],
    ...Object.entries(properties).flatMap(([name, value]) => ['--property', `${name}=${value}`]),
  ]
  for (let attempt = 1; ; attempt++) {
    // A new group is quicker than one that formed too early.
    const output = await java(jarFolder, args).catch((error: unknown) => {
      if (attempt === GROUP_ATTEMPTS) throw error
      return Buffer.alloc(0)
    })
    const records = output.toString('latin1').split(RECORD).slice(0, -1).map(recordOf)
    if (records.length === expected) return records
    if (attempt === GROUP_ATTEMPTS) {
      throw new Error(`ConsoleConsumer read ${records.length} of ${expected} records of ${topic}`)
    }
  }
}

function recordOf(line: string): ReadRecord {
  const fields = line.split(FIELD)
  const match = /^CreateTime:(-?\d+)$/.exec(fields[0] ?? '')
  const partition = /^Partition:(\d+)$/.exec(fields[1] ?? '')
  const offset = /^Offset:(\d+)$/.exec(fields[2] ?? '')
  if (match === null || partition === null || offset === null || fields.length !== 6) {
    throw new Error(`ConsoleConsumer printed a record that does not parse: ${JSON.stringify(line.slice(0, 200))}`)
  }
  return {
    timestamp: Number(match[1]),
    partition: Number(partition[1]),
    offset: Number(offset[1]),
    headers: headersOf(fields[3] as string),
    key: bytesOf(fields[4] as string),
    value: bytesOf(fields[5] as string),
  }
}

function headersOf(text: string): ReadHeader[] {
  if (text === 'NO_HEADERS') return []
  return text.split(PAIR).map((pair) => {
    const colon = pair.indexOf(':')
    return [pair.slice(0, colon), bytesOf(pair.slice(colon + 1))] as const
  })
}

/** Writes one record per pair through the Java producer; plain words only. Rejects when one could not be delivered. */
export async function produceWithJava(
  brokers: readonly string[],
  jarFolder: string,
  topic: string,
  records: readonly (readonly [key: string, value: string])[],
  codec: string,
): Promise<void> {
  const args = [
    'org.apache.kafka.tools.ConsoleProducer',
    ...['--bootstrap-server', brokers.join(','), '--topic', topic, '--compression-codec', codec, '--timeout', '50'],
    ...['--property', 'parse.key=true', '--property', `key.separator=${FIELD}`],
  ]
  const options = { timeout: TOOL_LIMIT_MS }
  const running = run('java', ['-Xmx256m', '-XX:+UseSerialGC', '-cp', join(jarFolder, '*'), ...args], options)
  running.child.stdin?.end(records.map(([key, value]) => `${key}${FIELD}${value}\n`).join(''))
  await running
}

const bytesOf = (text: string): Buffer | null => (text === NULL ? null : Buffer.from(text, 'latin1'))

/** One batch as it lies on the broker's disk. */
export interface DumpedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly count: number
  readonly producerId: string
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly codec: string
  readonly isValid: boolean
  readonly magic: number
  readonly sizeBytes: number
}

/** The batches of a partition, from every segment file of the node's data folder. */
export async function dumpLog(
  jarFolder: string,
  dataFolder: string,
  topic: string,
  partition: number,
): Promise<DumpedBatch[]> {
  const folder = join(dataFolder, 'n1', `${topic}-${partition}`)
  const files = readdirSync(folder).filter((name) => name.endsWith('.log'))
  const paths = files.sort().map((name) => join(folder, name))
  const output = await java(jarFolder, ['kafka.tools.DumpLogSegments', '--print-data-log', '--files', paths.join(',')])
  return output
    .toString('latin1')
    .split('\n')
    .filter((line) => line.startsWith('baseOffset: '))
    .map(batchOf)
}

function batchOf(line: string): DumpedBatch {
  const field = (name: string) => {
    const value = new RegExp(`(?:^| )${name}: (\\S+)`).exec(line)?.[1]
    if (value === undefined) throw new Error(`DumpLogSegments printed no ${name}: ${line}`)
    return value
  }
  return {
    baseOffset: Number(field('baseOffset')),
    lastOffset: Number(field('lastOffset')),
    count: Number(field('count')),
    producerId: field('producerId'),
    producerEpoch: Number(field('producerEpoch')),
    baseSequence: Number(field('baseSequence')),
    lastSequence: Number(field('lastSequence')),
    codec: field('compresscodec'),
    isValid: field('isvalid') === 'true',
    magic: Number(field('magic')),
    sizeBytes: Number(field('size')),
  }
}
