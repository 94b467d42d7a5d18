/**
 * A burst of ten times the memory in front of a slow reader: what the channel has no room for waits in a log on the disk, the
 * writer does not wait for the reader, and everything arrives once and in the order of writing.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteChannel } from 'tandem-mq/channel'
import { openSpillLog } from 'tandem-mq/wal'
import { check } from './example.js'

const KIB = 1024
const RECORDS = 10_000
const LIMIT_BYTES = KIB * KIB // a tenth of the burst

const dir = await mkdtemp(join(tmpdir(), 'channel-spill-'))
const spillLog = await openSpillLog({ dir, maxBytes: 64 * KIB * KIB })
const channel = new ByteChannel({ windowMs: 20, bufferMemoryBytes: LIMIT_BYTES, onFull: 'spill', spillLog })
channel.on('error', (error) => check(false, String(error)))

const payload = Buffer.alloc(KIB)
let peakBytes = 0
for (let n = 0; n < RECORDS; n++) {
  payload.writeUInt32BE(n)
  await channel.writeAsync(payload) // waits for the disk at most; the bytes are ours again
  peakBytes = Math.max(peakBytes, channel.usedBytes)
}
const { inLogRecords } = channel.counters()
check(
  inLogRecords > RECORDS / 2,
  `${RECORDS} records written before anybody read: ${inLogRecords} of them wait on the disk`,
)

let inOrder = 0
const reading = (async () => {
  while (inOrder < RECORDS) {
    for (const chunk of await channel.readBatch(100)) {
      using record = chunk
      const number = Buffer.from(record.bytes).readUInt32BE()
      if (number !== inOrder) check(false, `record ${inOrder} comes next, not ${number}`)
      inOrder++
    }
    peakBytes = Math.max(peakBytes, channel.usedBytes)
    await sleep(1) // what it sends them to is slower than the burst
  }
})()

const { undelivered } = await channel.close() // refuses writes, gives readers the rest: that of the log, too
await reading
await spillLog.close() // the channel first, then its log
check(inOrder === RECORDS && undelivered === 0, `${inOrder} records read once and in the order of writing`)
check(peakBytes <= LIMIT_BYTES, `never more than ${peakBytes} B of ${RECORDS * KIB} B in memory`)
check(spillLog.records === 0, 'nothing is left in the log')
await rm(dir, { recursive: true })
