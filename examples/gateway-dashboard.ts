/**
 * The live dashboard of a gateway: lanes, latency, lag and clients in a browser, without any other server. `--stay` keeps the
 * load running, for somebody who wants to look.
 */
import { parseArgs } from 'node:util'
import { closeOnSignals, MQ } from 'tandem-mq'
import type { StatsFrame } from 'tandem-mq/gateway'
import { check, exampleBrokers, sleep, until } from './example.js'
import { WebSocketClient } from './web-socket-client.js'

const { values: args } = parseArgs({
  options: {
    brokers: { type: 'string' },
    address: { type: 'string', default: '127.0.0.1:0' },
    stay: { type: 'boolean' },
  },
})
const TOKEN = 'let me see'
const { brokers, stop } = await exampleBrokers(args.brokers ?? process.env['KAFKA_BROKERS'])
const topic = `figures-${Date.now().toString(36)}`
const mq = new MQ({ brokers, consumer: { groupId: `${topic}.group`, autoOffsetReset: 'earliest' } })
await mq.admin.createTopic({ name: topic, partitions: 3 })
await mq.subscribe(topic, () => sleep(1)) // slower than the load: the lag shows

const gateway = mq.gateway({
  websocket: args.address,
  dashboard: true,
  // Figures are for those who may see them, and a browser's page needs its origin named; a token makes any origin harmless.
  authenticate: ({ token }) => (token === TOKEN ? { name: 'operator', stats: true } : null),
  origins: ['*'],
})
gateway.on('error', (error) => check(false, error.message))
await gateway.start()
const url = `http://127.0.0.1:${gateway.addresses.websocket?.port}`
const query = `?token=${encodeURIComponent(TOKEN)}`
console.log(`look at ${url}/dashboard${query}`)

let sent = 0
const load = setInterval(() => {
  for (let n = 0; n < 50; n++) mq.sendAsync(topic, `event ${sent}`, { key: `user-${sent++ % 100}` })
}, 10)

check((await fetch(`${url}/dashboard`)).status === 401, 'without a token there is nothing to see')
check((await fetch(`${url}/dashboard${query}`)).ok, 'with it there is the page')
const looker = await WebSocketClient.open(`${url}/mq${query}`)
looker.send('{"type":"stats","id":1}')
const shown = () => looker.frames.filter(({ type }) => type === 'stats').map(({ stats }) => stats as Figures)
await until(() => shown().length >= 3)
const [first, , third] = shown() as [Figures, Figures, Figures]
check(third.producer.successMessages > first.producer.successMessages, 'figures come each second, and move')
check(Object.keys(third.consumer.lagByPartition).length === 3, 'with the lag of each partition')

const end = async () => {
  clearInterval(load)
  await mq.close() // the gateway as well
  await stop()
}
if (args.stay === true) closeOnSignals({ close: end })
else await end()

/** What an instance says of itself beside the gateway's own figures. */
type Figures = Required<StatsFrame>
