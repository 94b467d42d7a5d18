/**
 * A service that ends without losing or repeating anything: on SIGTERM running callbacks end, offsets are committed, what
 * was accepted is sent, then the process exits with 0. The parent here sends the signal and checks what came of it.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Consumer, closeOnSignals, MQ } from 'tandem-mq'
import { check, exampleBrokers } from './example.js'

const IN = `shutdown-in-${process.env['RUN'] ?? Date.now().toString(36)}`
const OUT = IN.replace('-in-', '-out-')
const RECORDS = 200

if (process.send === undefined) await parent()
else await service()

/** Answers each record of one topic with one in another. */
async function service(): Promise<void> {
  const mq = new MQ({
    brokers: process.env['BROKERS'] as string,
    consumer: { groupId: `${IN}.group`, autoOffsetReset: 'earliest' },
  })
  closeOnSignals(mq, { timeoutMs: 10_000 })
  let answered = 0
  await mq.subscribe(IN, async ({ value }) => {
    // Stored before the callback returns: only then the offset may be committed.
    await mq.sendSync(OUT, `answer to ${value?.toString()}`)
    if (++answered === RECORDS / 2) process.send?.('half')
  })
}

async function parent(): Promise<void> {
  const { brokers, stop } = await exampleBrokers()
  const mq = new MQ({ brokers })
  await mq.admin.createTopics([{ name: IN }, { name: OUT }])
  await mq.sendBatchSync({ topic: IN, messages: Array.from({ length: RECORDS }, (_, n) => ({ value: String(n) })) })

  const env = { ...process.env, BROKERS: brokers, RUN: IN.slice('shutdown-in-'.length) }
  const start = () => fork(new URL(import.meta.url), { env, execArgv: process.execArgv })
  const first = start()
  await once(first, 'message')
  first.kill('SIGTERM')
  const [code] = await once(first, 'exit')
  check(code === 0, 'on SIGTERM the service closed and exited with 0')

  const second = start()
  const answers = await readAnswers(brokers)
  second.kill('SIGTERM')
  await once(second, 'exit')
  check(new Set(answers).size === RECORDS, `all ${RECORDS} records were answered`)
  check(answers.length === RECORDS, 'none was answered twice, although the service was stopped half way')
  await mq.close()
  await stop()
}

/** All answers, and those that come within half a second after the last one that must come. */
async function readAnswers(brokers: string): Promise<string[]> {
  const consumer = new Consumer({ brokers, autoOffsetReset: 'earliest' })
  await consumer.assign([OUT])
  const answers: string[] = []
  for (;;) {
    const record = await consumer.read({ timeoutMs: answers.length < RECORDS ? 20_000 : 500 })
    if (record === null) break
    answers.push(String(record.value))
  }
  await consumer.close()
  return answers
}
