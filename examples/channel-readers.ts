/**
 * Readers compete: one channel, read in three ways at once; every item reaches exactly one of them, each reader sees its items
 * in the order of writing, and `close` comes back when all of them are done.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MQError } from 'tandem-mq'
import { ItemChannel } from 'tandem-mq/channel'
import { check } from './example.js'

const ITEMS = 30_000
const channel = new ItemChannel<number>({ maxRecords: 500, windowMs: 5, bufferMaxRecords: 5000 })
channel.on('error', (error) => check(false, String(error)))

/** Takes what is there, up to a hundred at a time. That the channel has come to its end it learns by an error. */
const batches: number[] = []
const byBatch = (async () => {
  try {
    while (true) {
      batches.push(...(await channel.readBatch(100)))
      await sleep(1) // what a database would take
    }
  } catch (error) {
    if (!(error instanceof MQError && error.is('CONSUMER_CLOSED'))) throw error
  }
})()

/** Leaves the loop when the channel is closed and empty. */
const looped: number[] = []
const byLoop = (async () => {
  for await (const item of channel) {
    looped.push(item)
    await sleep(1) // a loop that waits for nothing would take whole buffers before others get their turn
  }
})()

/** Two callbacks that wait for something: their promise is the back-pressure. */
const called: number[][] = [[], []]
for (const mine of called) {
  channel.onData(async (item) => {
    await sleep(1)
    mine.push(item)
  })
}

for (let n = 0; n < ITEMS; n++) await channel.writeAsync(n) // waits while 5,000 are inside
const { undelivered } = await channel.close()
await Promise.all([byBatch, byLoop])

const readers = [batches, looped, ...called]
const counts = readers.map((mine) => mine.length).join(', ')
const isOnce = new Set(readers.flat()).size === ITEMS && readers.flat().length === ITEMS && undelivered === 0
check(isOnce, `${ITEMS} items, each read by exactly one of four readers: ${counts}`)
check(readers.every(isAscending), 'each reader saw its items in the order of writing')
check(
  readers.every((mine) => mine.length > 0),
  'nobody went without',
)

function isAscending(items: readonly number[]): boolean {
  return items.every((item, index) => index === 0 || item > (items[index - 1] as number))
}
