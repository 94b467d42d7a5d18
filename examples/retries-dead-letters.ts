/**
 * When a callback fails: a passing fault is tried again, a record that never works goes to the dead-letter topic with a
 * note of why, and the partition goes on. Afterwards the dead letters are read, mended and sent back.
 */
import { Consumer, MQ } from 'tandem-mq'
import { check, exampleBrokers, until } from './example.js'

const TOPIC = `payments-${Date.now().toString(36)}`
const { brokers, stop } = await exampleBrokers()
const mq = new MQ({
  brokers,
  consumer: {
    groupId: `${TOPIC}.group`,
    autoOffsetReset: 'earliest',
    onError: 'retry',
    errorRetries: 2, // attempts after the first
    errorFinal: 'dlq', // to `<topic>.dlq`; committed only when that is acknowledged
  },
})
await mq.admin.createTopics([{ name: TOPIC }, { name: `${TOPIC}.dlq` }])

let outages = 1
const paid: string[] = []
await mq.subscribe(TOPIC, (record) => {
  const amount = String(record.value)
  if (amount === '20' && outages-- > 0) throw new Error('the bank does not answer') // works the next time
  if (!/^\d+$/.test(amount)) throw new TypeError(`not an amount: ${amount}`) // never works
  paid.push(amount)
})
for (const amount of ['10', '20', 'ten', '30']) await mq.sendSync(TOPIC, amount, { key: 'customer-7' })
await until(() => paid.length === 3)
check(paid.join() === '10,20,30', `paid in order: ${paid.join(', ')}; the passing fault was tried again`)

const dead = new Consumer({ brokers, autoOffsetReset: 'earliest' })
await dead.assign([`${TOPIC}.dlq`])
const letter = await dead.read({ timeoutMs: 10_000 })
const note = (name: string) => String(letter?.headers.find(([known]) => known === name)?.[1])
console.log(`  dead letter: ${letter?.value} from offset ${note('x-original-offset')}: ${note('x-error-message')}`)
check(String(letter?.value) === 'ten' && note('x-original-topic') === TOPIC, 'what never works is kept with its story')

await mq.sendSync(TOPIC, '10', { key: letter?.key?.toString() ?? null })
await until(() => paid.length === 4)
check(paid.at(-1) === '10', 'mended and sent again')
const { skipped, deadLetters, retries } = mq.consumer.getMetrics()
check(deadLetters === 1 && skipped === 0 && retries >= 3, `counted: ${retries} retries, ${deadLetters} dead letter`)

await dead.close()
await mq.close()
await stop()
