/**
 * kcat, and so librdkafka in C, as an independent reader.
 * The output names the lengths of key and value before their bytes, so that any byte may occur in them. Headers come as one
 * line of text: names and values of headers must be plain words here, and a null value reads `NULL`.
 */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { inLogOrder, type ReadHeader, type ReadRecord } from './interop-records.js'

const run = promisify(execFile)
const FORMAT = '%p %o %T %K %S\\n%k%s%h\\n'
const NEWLINE = 0x0a
const READ_LIMIT_MS = 60_000
const MAX_OUTPUT_BYTES = 512 * 1024 * 1024

export const hasKcat: boolean = spawnSync('kcat', ['-V']).status === 0

/** Everything the topic holds now. */
export async function readWithKcat(brokers: readonly string[], topic: string): Promise<ReadRecord[]> {
  const args = [
    '-C',
    '-q',
    '-b',
    brokers.join(','),
    '-t',
    topic,
    '-o',
    'beginning',
    '-e',
    '-X',
    'check.crcs=true',
    '-f',
    FORMAT,
  ]
  const { stdout } = await run('kcat', args, {
    encoding: 'buffer',
    maxBuffer: MAX_OUTPUT_BYTES,
    timeout: READ_LIMIT_MS,
  })
  return inLogOrder(parse(stdout))
}

/** Writes one record per line; rejects when one could not be delivered. */
export async function produceWithKcat(
  brokers: readonly string[],
  topic: string,
  lines: readonly string[],
  settings: readonly string[],
): Promise<void> {
  const args = ['-P', '-q', '-b', brokers.join(','), '-t', topic, ...settings.flatMap((setting) => ['-X', setting])]
  const running = run('kcat', args, { timeout: READ_LIMIT_MS })
  running.child.stdin?.end(`${lines.join('\n')}\n`)
  await running
}

function parse(output: Buffer): ReadRecord[] {
  const records: ReadRecord[] = []
  let at = 0
  const line = () => {
    const end = output.indexOf(NEWLINE, at)
    if (end < 0) throw new Error(`kcat ended inside a record at byte ${at} of ${output.length}`)
    const text = output.toString('utf8', at, end)
    at = end + 1
    return text
  }
  const bytes = (length: number) => {
    if (length < 0) return null
    const part = output.subarray(at, at + length)
    at += length
    return part
  }
  while (at < output.length) {
    const [partition, offset, timestamp, keyLength, valueLength] = line().split(' ').map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ]
    const key = bytes(keyLength)
    const value = bytes(valueLength)
    records.push({ partition, offset, timestamp, key, value, headers: headersOf(line()) })
  }
  return records
}

function headersOf(text: string): ReadHeader[] {
  if (text === '') return []
  return text.split(',').map((pair) => {
    const [name = '', value = ''] = pair.split('=')
    return [name, value === 'NULL' ? null : Buffer.from(value)] as const
  })
}
