/**
 * Push to a user: a topic whose key is the user, a gateway in front of it, and clients that subscribe to their own key.
 * Shown: everybody gets his own records and nobody else's, from whatever side they are published; who was away gets what he
 * missed, once; who does not read holds nobody up and misses nothing.
 */
import { MQ } from 'tandem-mq'
import { check, exampleBrokers, until } from './example.js'
import { WebSocketClient } from './web-socket-client.js'

const TOPIC = 'notifications'
const USERS = ['ann', 'bob', 'carl']
const BURST = 5_000 // of about 1 KiB: more than the sockets of both sides hold

const { brokers, stop } = await exampleBrokers()
const mq = new MQ({ brokers })
await mq.admin.createTopics([{ name: TOPIC, partitions: 3 }])

const gateway = mq.gateway({
  websocket: '127.0.0.1:0',
  // A service of yours looks the token up. A name is a key that its owner may read; `keys` would allow more.
  authenticate: ({ token = '' }) =>
    USERS.includes(token) ? { name: token, publish: [TOPIC], subscribe: [TOPIC] } : null,
  keyTopics: [TOPIC],
  slowClient: 'pause',
})
gateway.on('error', (error) => check(false, error.message))
await gateway.start()
const url = `http://127.0.0.1:${gateway.addresses.websocket?.port}/mq`

// Everybody subscribes to his own key.
const [ann, bob, carl] = await Promise.all([arrive('ann'), arrive('bob'), arrive('carl')])
await mq.sendSync(TOPIC, 'from the service', { key: 'ann' })
bob.send(JSON.stringify({ type: 'publish', id: 2, topic: TOPIC, key: 'ann', value: 'from bob' }))
await until(() => records(ann).length === 2 && answerTo(bob, 2) !== undefined)
check(answerTo(bob, 2)?.type === 'ack', `bob's was stored at offset ${String(answerTo(bob, 2)?.offset)}`)
check(
  records(ann)
    .map(({ value }) => value)
    .sort()
    .join() === 'from bob,from the service',
  'ann got both',
)
check(records(bob).length + records(carl).length === 0, 'nobody else did')

bob.send(JSON.stringify({ type: 'subscribe', id: 3, key: 'ann' }))
await until(() => answerTo(bob, 3) !== undefined)
check(answerTo(bob, 3)?.code === 'AUTHORIZATION_FAILED', `bob may not listen in: ${String(answerTo(bob, 3)?.message)}`)

// Ann goes away, and comes back with what she knows.
const places = placesOf(ann)
ann.close()
await until(() => ann.closeCode !== undefined)
await mq.sendSync(TOPIC, 'while you were away', { key: 'ann' })
const again = await arrive('ann', places)
await until(() => records(again).length > 0)
check(
  records(again)
    .map(({ value }) => value)
    .join() === 'while you were away',
  'ann got what she missed, and only that',
)

// Carl does not read, Bob does.
carl.pause()
const texts = Array.from({ length: BURST }, (_none, n) => `${n} ${'x'.repeat(1000)}`)
for (const text of texts)
  for (const key of ['bob', 'carl']) if (!mq.sendAsync(TOPIC, text, { key })) await mq.producer.ready()
await until(() => records(bob).length === BURST)
check(true, `bob got ${BURST} records while carl did not read`)
carl.resume()
await until(() => records(carl).length === BURST)
check(
  records(carl).every(({ value }, n) => value === texts[n]),
  `carl got all ${BURST} of his, in order, when he read`,
)
check(gateway.measures().dropped === 0, 'nothing was dropped')

await gateway.stop()
await until(() => bob.closeCode !== undefined)
check(bob.closeCode === 1001, 'on stop, clients are told: 1001')
await mq.close()
await stop()

type Places = Record<string, Record<string, number>>

/** Connects, and subscribes to its own key. */
async function arrive(name: string, from?: Places): Promise<WebSocketClient> {
  const client = await WebSocketClient.open(url, { Authorization: `Bearer ${name}` })
  client.send(JSON.stringify({ type: 'subscribe', id: 1, key: name, ...(from === undefined ? {} : { from }) }))
  await until(() => answerTo(client, 1) !== undefined)
  check(answerTo(client, 1)?.type === 'subscribed', `${name} is here`)
  return client
}

function records(client: WebSocketClient): Record<string, unknown>[] {
  return client.frames.filter(({ type }) => type === 'record')
}

function answerTo(client: WebSocketClient, id: number): Record<string, unknown> | undefined {
  return client.frames.find((frame) => frame.id === id)
}

/** The next offset of each partition: what `subscribed` said, moved on by what came since. */
function placesOf(client: WebSocketClient): Places {
  const places = structuredClone(answerTo(client, 1)?.topics) as Places
  for (const { topic, partition, offset } of records(client) as {
    topic: string
    partition: number
    offset: number
  }[]) {
    ;(places[topic] as Record<string, number>)[partition] = offset + 1
  }
  return places
}
