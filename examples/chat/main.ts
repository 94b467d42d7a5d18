/**
 * Runs the chat: a message each two seconds, a batch of 50, 100 without waiting, figures each ten seconds, and meanwhile a web
 * page over the gateway. At the end it checks that every message came back, and that each person got theirs in order.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { closeOnSignals } from 'tandem-mq'
import { check, exampleBrokers, sleep, until } from '../example.js'
import { chatGateway } from './gateway.js'
import { textMessage } from './message.js'
import { ChatService } from './service.js'
import { chatServer } from './web.js'

const HELP = `npx tsx examples/chat/main.ts [options]

A chat over the topic chat-messages, with a web page over the gateway and a dashboard. Sends 100 messages one by one, a batch of 50 and 100 at once,
and checks what comes back.

  --brokers host:port[,...]  a real Kafka; default: an embedded broker
  --every ms                 pause between the single messages, default 2000
  --port n                   of the web page, default 0 = any
  --api-port n               of the same by HTTP alone, default 0 = any
  --stay                     keep serving afterwards, until Ctrl-C
`
const { values: args } = parseArgs({
  options: {
    brokers: { type: 'string' },
    every: { type: 'string', default: '2000' },
    port: { type: 'string', default: '0' },
    'api-port': { type: 'string', default: '0' },
    stay: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (args.help) {
  process.stdout.write(HELP)
  process.exit(0)
}

const PEOPLE = ['alice', 'bob', 'carol', 'dave']
const { brokers, stop } = await exampleBrokers(args.brokers)
const chat = new ChatService(brokers)
await chat.start()
const before = chat.total
const gateway = chatGateway(chat, Number(args.port))
await gateway.start()
const page = `http://127.0.0.1:${gateway.addresses.websocket?.port}/`
const api = chatServer(chat).listen(Number(args['api-port']), '127.0.0.1')
await once(api, 'listening')
console.log(`chat at ${page} over ${brokers}, figures at ${page}dashboard?token=me`)
console.log(`by HTTP alone at http://127.0.0.1:${(api.address() as AddressInfo).port}/messages`)
check((await (await fetch(page)).text()).includes('<title>tandem-mq chat</title>'), 'the gateway serves the page')
check((await fetch(`${page}tandem-mq.js`)).ok, 'and the client that the page imports')

const monitor = setInterval(() => {
  const { producer, consumer } = chat.mq.getMetrics()
  console.log(
    `sent ${producer.successMessages}, received ${consumer.totalMessages}, lag ${consumer.lag}, p99 ${producer.p99LatencyMs} ms`,
  )
}, 10_000)

let sent = 0
const run = Date.now().toString(36)
const next = () => textMessage(PEOPLE[sent % 4] as string, PEOPLE[(sent + 1) % 4] as string, `${run} ${sent++}`)
for (let n = 0; n < 100; n++) {
  await chat.send(next())
  await sleep(Number(args.every))
}
const refused = await chat.sendAll(Array.from({ length: 50 }, next))
const failures: Error[] = []
for (let n = 0; n < 100; n++) chat.sendAsync(next(), (error) => error !== null && failures.push(error))
await chat.mq.producer.flush()
await until(() => chat.total - before >= sent)

check(refused === 0 && failures.length === 0, 'every message was stored')
check(chat.total - before === sent, `${sent} messages came back`)
const isOrdered = PEOPLE.every((person) => {
  const numbers = chat.messagesTo(person).map(({ content }) => Number(content.split(' ')[1]))
  return numbers.length > 0 && numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number))
})
check(isOrdered, 'each person got their messages in order')

const end = async () => {
  clearInterval(monitor)
  api.closeAllConnections()
  api.close()
  await chat.close() // the gateway as well: it belongs to the instance
  await stop()
}
if (args.stay) closeOnSignals({ close: end })
else await end()
