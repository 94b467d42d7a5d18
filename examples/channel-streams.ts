/**
 * File -> channel -> file through streams: the file is sixteen times the channel's memory, the writing end is slower than the
 * reading one, and every byte arrives. Back-pressure reaches from one file to the other.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ByteChannel } from 'tandem-mq/channel'
import { check } from './example.js'

const KIB = 1024
const FILE_BYTES = 16 * KIB * KIB
const LIMIT_BYTES = FILE_BYTES / 16

const folder = await mkdtemp(join(tmpdir(), 'channel-streams-'))
const [source, target] = [join(folder, 'source'), join(folder, 'target')]
await writeFile(source, randomBytes(FILE_BYTES))

const channel = new ByteChannel({ maxBytes: 256 * KIB, windowMs: 20, bufferMemoryBytes: LIMIT_BYTES })
let waits = 0
let peakBytes = 0
channel.on('backpressure', () => waits++)
const slowly = new Transform({
  transform(part, _encoding, done) {
    peakBytes = Math.max(peakBytes, channel.usedBytes)
    setTimeout(done, 2, null, part) // a slow disk
  },
})

await Promise.all([
  pipeline(createReadStream(source), channel.toWritable({ closesChannel: true })), // its end closes the channel
  pipeline(channel.toReadable(), slowly, createWriteStream(target)), // its end: closed and empty
])

const [sent, arrived] = [await hashOf(source), await hashOf(target)]
check(sent === arrived, `${FILE_BYTES} B went through a channel of ${LIMIT_BYTES} B: ${arrived.slice(0, 16)}`)
check(peakBytes <= LIMIT_BYTES, `at most ${peakBytes} B of it were in memory at a time`)
check(waits > 0, `the reading of the file waited for the writing ${waits} times`)
const { writtenRecords, readRecords } = channel.counters()
check(
  writtenRecords === readRecords && channel.state === 'closed',
  `${readRecords} records written and read, then closed`,
)
await rm(folder, { recursive: true })

async function hashOf(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}
