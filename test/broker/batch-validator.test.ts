/** Every good and bad batch of the vectors gets the answer that Apache Kafka 4.1.1 gave (F-3, B-2, B-4). */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import { Produce } from '../../lib/protocol/index.js'
import { vectors } from '../support/vectors.js'
import { RawClient } from './raw-client.js'

interface Verdict {
  readonly errorCode: number
  readonly baseOffset: string
  readonly errorMessage?: string
}
type Part = string | { readonly repeatHex: string; readonly length: number }

const bad = vectors('bad-batches.json') as
  | { cases: { name: string; hex: string; brokerProduce: Verdict }[] }
  | undefined
const good = vectors('record-batches.json') as
  | { cases: { name: string; sha256: string; bytes: string | Part[]; brokerProduce: Verdict }[] }
  | undefined

function bytesOf(bytes: string | Part[]): Buffer {
  const parts = typeof bytes === 'string' ? [bytes] : bytes
  return Buffer.concat(
    parts.map((part) =>
      typeof part === 'string'
        ? Buffer.from(part, 'hex')
        : Buffer.alloc(part.length, Buffer.from(part.repeatHex, 'hex')),
    ),
  )
}

describe.skipIf(bad === undefined || good === undefined)('produced batches of the vectors', () => {
  let broker: Broker
  let client: RawClient

  beforeAll(async () => {
    broker = await createBroker({ config: { 'log.message.timestamp.after.max.ms': '9223372036854775807' } })
    client = await RawClient.connect(broker.bootstrap)
  })
  afterAll(async () => {
    client.close()
    await broker.close()
  })

  async function produce(name: string, records: Buffer) {
    const topic = `t-${createHash('sha1').update(name).digest('hex')}`
    broker.createTopic(topic, { configs: { 'max.message.bytes': 2_000_000 } })
    const answer = await client.request(Produce, 8, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: topic, partitionData: [{ index: 0, records }] }],
    })
    const partition = answer.responses[0]?.partitionResponses[0]
    return { topic, verdict: partition }
  }

  for (const { name, hex, brokerProduce } of bad?.cases ?? []) {
    it(`F-3: bad batch ${name} is answered ${brokerProduce.errorCode}`, async () => {
      const { verdict } = await produce(`bad-${name}`, Buffer.from(hex, 'hex'))
      expect(verdict?.errorCode).toBe(brokerProduce.errorCode)
      expect(verdict?.baseOffset).toBe(Number(brokerProduce.baseOffset))
      const isTextSet = brokerProduce.errorMessage !== undefined && brokerProduce.errorMessage !== null
      if (isTextSet) expect(verdict?.errorMessage).toEqual(expect.any(String))
    })
  }

  for (const { name, sha256, bytes, brokerProduce } of good?.cases ?? []) {
    it(`F-3: batch ${name} is answered ${brokerProduce.errorCode}`, async () => {
      const records = bytesOf(bytes)
      expect(createHash('sha256').update(records).digest('hex')).toBe(sha256)
      const { topic, verdict } = await produce(`good-${name}`, records)
      expect(verdict?.errorCode).toBe(brokerProduce.errorCode)
      expect(verdict?.baseOffset).toBe(Number(brokerProduce.baseOffset))
      if (brokerProduce.errorCode === 0) expect((await broker.records(topic, 0)).length).toBeGreaterThan(0)
    })
  }
})
