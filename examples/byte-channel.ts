/** The double buffer on its own, without Kafka: lines are written, sealed buffer by buffer, and read in order. */
import { ByteChannel } from 'tandem-mq/channel'
import { check } from './example.js'

const LINES = 10_500
const channel = new ByteChannel({ maxRecords: 1_000, windowMs: 50 })
const reader = (async () => {
  for (let lines = 0; lines < LINES; lines++) {
    const chunk = await channel.read()
    if (!String(Buffer.from(chunk.bytes)).startsWith(`line ${lines} `)) check(false, `line ${lines} comes next`)
    chunk.release()
  }
})()
for (let n = 0; n < LINES; n++) await channel.writeAsync(Buffer.from(`line ${n} of a log`))
await reader
const { switches } = channel.stats()
const { undelivered } = await channel.close()
check(undelivered === 0 && switches >= 10, `${LINES} lines read in order from ${switches} sealed buffers`)
