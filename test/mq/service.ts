/** A service as users write one, in a process of its own: it sends until it is told to end. See signals-process.test.ts. */
import { closeOnSignals, MQ } from '../../lib/index.js'

const [brokers = '', timeoutMs = ''] = process.argv.slice(2)
const mq = new MQ({ brokers, logLevel: 'error', metrics: { address: '127.0.0.1:0' }, consumer: { groupId: 'service' } })
closeOnSignals(mq, { timeoutMs: Number(timeoutMs) })
const tell = (what: string, more: object = {}) => process.send?.({ what, ...more })

process.on('unhandledRejection', (error) => tell('unhandled', { error: String(error) }))
let [accepted, acknowledged] = [0, 0]
let isReady = false
process.on('exit', () => tell('exit', { accepted, acknowledged }))
mq.consumer.on('assigned', () => tell('assigned'))
await mq.subscribe('in', () => {})
setInterval(() => {
  for (let n = 0; n < 20 && mq.state === 'open'; n++) {
    accepted++
    mq.sendAsync('orders', `value ${accepted}`, null, (error) => {
      if (error === null) acknowledged++
      if (!isReady) tell('ready')
      isReady = true
    })
  }
}, 1)
