/** The double buffer on its own, without Kafka: lines are written, sealed buffer by buffer, and read in order. */
import { ByteChannel } from 'tandem-mq/channel'
import { check } from './example.js'

const channel = new ByteChannel({ maxRecords: 1_000, windowMs: 50 })
const reader = (async () => {
  let lines = 0
  for await (const chunk of channel.register()) {
    if (!String(Buffer.from(chunk.bytes)).startsWith(`line ${lines} `)) check(false, `line ${lines} comes next`)
    lines++
    chunk.release()
  }
  return lines
})()
for (let n = 0; n < 10_500; n++) await channel.writeAsync(Buffer.from(`line ${n} of a log`))
const { switches } = channel.stats()
const { undelivered } = await channel.close()
check((await reader) === 10_500 && undelivered === 0, `10500 lines read in order, ${switches}+ buffers sealed`)
