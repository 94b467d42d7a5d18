/**
 * Bad input of every kind reaches the caller as an MQError, and the rest goes on: topics that are not there or go away,
 * batches that lie damaged on a real broker's disk, permissions that are missing, groups that will not have us.
 * Why a node of our own: permissions and damage must not meet the other tests.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import kafkajs, { type AclEntry } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { makeSnappyCodec } from '../../lib/codec/snappy.js'
import { type ConsumerConfig, createCompressionCodec, registerCodec } from '../../lib/index.js'
import { withCrc } from '../support/batch-bytes.js'
import { ConsumerStage, sendAll, valuesOf } from '../support/consumer-stage.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, withAdmin } from '../support/interop-kafkajs.js'
import { kafka } from '../support/interop-setup.js'
import { describeWithKafka, jarFolder, type OwnKafka, restartNode, startOwnKafka } from '../support/real-kafka.js'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
const PROTOCOLS = ['classic', 'consumer'] as const
const LIMIT_MS = 20_000
/** What is refused is asked for again so soon. */
const MAX_AGE_MS = 1_000
const PARTITIONS = 4
const SETTINGS = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'allow.everyone.if.no.acl.found': 'true',
  'group.min.session.timeout.ms': '3000',
  'group.consumer.session.timeout.ms': '3000',
  'group.consumer.min.session.timeout.ms': '3000',
  'group.consumer.heartbeat.interval.ms': '1000',
  'group.consumer.min.heartbeat.interval.ms': '1000',
  'group.consumer.migration.policy': 'disabled',
}
/** In a record batch. */
const CODEC_AT = 22
const PAYLOAD_AT = 61
const UNKNOWN_CODEC = 6
const LZ4 = 3

let stage = new ConsumerStage([])
let brokers: readonly string[] = []
afterEach(() => stage.close())

const groupName = () => `bad-${randomUUID().slice(0, 8)}`

/** A topic of its own; `records` values in each partition. */
async function topicWith(records: number, partitions = 1): Promise<string> {
  const topic = `bad-input-${randomUUID().slice(0, 8)}`
  await createTopicNamed(brokers, topic, partitions)
  await refill(topic, 0, records, partitions)
  return topic
}

async function refill(topic: string, from: number, records: number, partitions = 1): Promise<void> {
  const producer = stage.producer({ compression: 'none' })
  for (let partition = 0; partition < partitions; partition++) {
    await sendAll(producer, topic, partition, valuesOf(`${topic}/${partition}`, records, from))
  }
}

describe.skipIf(jarFolder === null)('bad input meets a real Kafka', () => {
  let own: OwnKafka | undefined
  beforeAll(() => {
    own = startOwnKafka(SETTINGS)
    brokers = own.brokers
    stage = new ConsumerStage(brokers)
  })
  afterAll(() => own?.stop())

  describe.each(PROTOCOLS)('%s', (groupProtocol) => {
    const heardIn = (groupId: string, config: ConsumerConfig = {}) =>
      stage.heard({ groupId, groupProtocol, metadataMaxAgeMs: MAX_AGE_MS, ...config })

    it('CO-1, K-9: a topic that does not exist is TOPIC_NOT_FOUND; nothing is subscribed, and the next call works', async () => {
      const topic = await topicWith(3)
      const heard = heardIn(groupName())
      const asked = heard.consumer.subscribe([topic, 'nobody-made-this'], heard.take, { timeoutMs: 1_000 })
      await expect(asked).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND', context: { topic: 'nobody-made-this' } })
      expect([heard.consumer.assignment, heard.consumer.getMetrics().groupState]).toEqual([[], 'unsubscribed'])
      await expect(heard.consumer.subscribe('no spaces, please', heard.take)).rejects.toMatchObject({
        code: 'INVALID_TOPIC',
      })
      await heard.consumer.subscribe(topic, heard.take)
      await heard.until('three values', () => heard.values.length === 3)
      expect([heard.of(topic, 0), heard.errors]).toEqual([valuesOf(`${topic}/0`, 3), []])
    })

    it('K-9: a topic that is deleted during life is told and stops nobody else; made anew it is read from its beginning', async () => {
      const [kept, gone] = [await topicWith(3), await topicWith(3)]
      const heard = heardIn(groupName())
      await heard.consumer.subscribe([kept, gone], heard.take)
      await heard.until('all values', () => heard.values.length === 6)
      await withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [gone] }))
      await refill(kept, 3, 3)
      await heard.until('the other goes on', () => heard.of(kept, 0).length === 6)
      await eventually(
        'it is gone',
        () => withAdmin(brokers, async (a) => !(await a.listTopics()).includes(gone)),
        LIMIT_MS,
      )
      await createTopicNamed(brokers, gone, 1)
      await refill(gone, 10, 3)
      await heard.until('the new one is read', () => heard.of(gone, 0).length === 6)
      expect(heard.of(kept, 0)).toEqual(valuesOf(`${kept}/0`, 6))
      expect(heard.of(gone, 0)).toEqual([...valuesOf(`${gone}/0`, 3), ...valuesOf(`${gone}/0`, 3, 10)])
      expect(heard.consumer.state).toBe('open')
    })

    it('CO-2: READ on a topic is denied and given back: one error names it, others go on, nothing is lost or repeated', async () => {
      const [open, denied] = [await topicWith(3), await topicWith(3)]
      const heard = heardIn(groupName())
      await heard.consumer.subscribe([open, denied], heard.take)
      await heard.until('all values', () => heard.values.length === 6)
      await heard.consumer.commit()
      await refill(denied, 3, 0)
      const rules = [allow('TOPIC', denied, 'DESCRIBE'), allow('TOPIC', denied, 'WRITE'), deny('TOPIC', denied, 'READ')]
      await withRules(rules, async () => {
        await heard.until('it is told', () => heard.errors.length > 0)
        await refill(denied, 3, 3)
        await refill(open, 3, 3)
        await heard.until('the other goes on', () => heard.of(open, 0).length === 6)
      })
      await heard.until('it goes on', () => heard.of(denied, 0).length === 6, MAX_AGE_MS + LIMIT_MS)
      expect([heard.of(open, 0), heard.of(denied, 0)]).toEqual([valuesOf(`${open}/0`, 6), valuesOf(`${denied}/0`, 6)])
      const context = { kafkaCode: 29, topic: denied, resource: `topic ${denied}`, operation: 'READ' }
      expect(heard.errors).toMatchObject([{ code: 'AUTHORIZATION_FAILED', context }])
    })

    it('CO-1: a topic that may not even be described is AUTHORIZATION_FAILED in subscribe, and others can be subscribed', async () => {
      const [open, hidden] = [await topicWith(3), await topicWith(3)]
      const heard = heardIn(groupName())
      await withRules([deny('TOPIC', hidden, 'ALL')], async () => {
        await expect(heard.consumer.subscribe([open, hidden], heard.take)).rejects.toMatchObject({
          code: 'AUTHORIZATION_FAILED',
          context: { kafkaCode: 29, resource: `topic ${hidden}`, operation: 'DESCRIBE' },
        })
        await heard.consumer.subscribe(open, heard.take)
        await heard.until('the other is read', () => heard.values.length === 3)
      })
      await heard.consumer.subscribe(hidden, heard.take)
      await heard.until('all is read', () => heard.values.length === 6)
      expect(heard.errors).toEqual([])
    })

    it.each(['READ', 'ALL'] as const)(
      'CO-10: a group on which %s is denied is AUTHORIZATION_FAILED, and so is one that loses it',
      async (operation) => {
        const topic = await topicWith(3)
        const groupId = groupName()
        const config = { sessionTimeoutMs: 3_000 } // Who may not speak to the group any more cannot leave it.
        const [early, late] = [heardIn(groupId, config), heardIn(groupId, config)]
        await early.consumer.subscribe(topic, early.take)
        await early.until('all values', () => early.values.length === 3)
        const refusal = {
          code: 'AUTHORIZATION_FAILED',
          context: { kafkaCode: 30, groupId, resource: `group ${groupId}`, operation: 'READ' },
        }
        await withRules([allow('GROUP', groupId, 'DESCRIBE'), deny('GROUP', groupId, operation)], async () => {
          await expect(late.consumer.subscribe(topic, late.take)).rejects.toMatchObject(refusal)
          await early.until('it is told', () => early.consumer.state === 'stopped')
          await expect(early.consumer.run()).rejects.toMatchObject(refusal)
          expect(early.lost).toMatchObject([refusal])
        })
        const again = heardIn(groupId, config)
        await again.consumer.subscribe(topic, again.take)
        await refill(topic, 3, 1)
        await again.until('it goes on', () => again.values.includes(`${topic}/0 3`))
      },
    )

    it('CO-10: an empty group id is refused here; a strange one is only a name', async () => {
      expect(() => heardIn('')).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
      const heard = heardIn('ünï cödé / group')
      const topic = await topicWith(1)
      await heard.consumer.subscribe(topic, heard.take)
      await heard.until('it is read', () => heard.values.length === 1)
    })
  })

  it('CO-10: KIP-848 into a classic group that may not be mixed: told why, and the group goes on', async () => {
    const topic = await topicWith(1)
    const groupId = groupName()
    const first = stage.heard({ groupId, groupProtocol: 'classic' })
    await first.consumer.subscribe(topic, first.take)
    const second = stage.heard({ groupId, groupProtocol: 'consumer' })
    await expect(second.consumer.subscribe(topic, second.take)).rejects.toMatchObject({
      code: 'INCONSISTENT_GROUP_PROTOCOL',
      message: expect.stringContaining("use groupProtocol 'classic'"),
      context: { kafkaCode: 69, groupId },
    })
    await refill(topic, 1, 1)
    await first.until('the first goes on', () => first.values.length === 2)
    expect([second.consumer.assignment, first.errors, first.consumer.getMetrics().generation]).toEqual([[], [], 1])
  })

  it('CO-10: assignors without a common one are INCONSISTENT_GROUP_PROTOCOL; the group goes on', async () => {
    const topic = await topicWith(1)
    const groupId = groupName()
    const first = stage.heard({ groupId, assignors: ['range'] })
    await first.consumer.subscribe(topic, first.take)
    const second = stage.heard({ groupId, assignors: ['sticky'] })
    await expect(second.consumer.subscribe(topic, second.take)).rejects.toMatchObject({
      code: 'INCONSISTENT_GROUP_PROTOCOL',
      context: { kafkaCode: 23, groupId },
    })
    await refill(topic, 1, 1)
    await first.until('the first goes on', () => first.values.length === 2)
    expect([first.errors, first.consumer.getMetrics().generation]).toEqual([[], 1])
  })

  it.each([1_500, 1_900_000])(
    'CO-10: a session of %i ms is outside of what the broker allows',
    async (sessionTimeoutMs) => {
      const topic = await topicWith(1)
      const config = { groupId: groupName(), sessionTimeoutMs, maxPollIntervalMs: 2_000_000 }
      const heard = stage.heard(config)
      await expect(heard.consumer.subscribe(topic, heard.take)).rejects.toMatchObject({
        code: 'INVALID_SESSION_TIMEOUT',
        message: expect.stringContaining('sessionTimeoutMs'),
        context: { kafkaCode: 26 },
      })
    },
  )

  it('C-25: two static members with one name: the newer one has the group, the older one is told to stop', async () => {
    const topic = await topicWith(2)
    const config = { groupId: groupName(), groupInstanceId: 'one' }
    const first = stage.heard(config)
    await first.consumer.subscribe(topic, first.take)
    await first.until('all values', () => first.values.length === 2)
    await first.consumer.commit()
    const second = stage.heard(config)
    await second.consumer.subscribe(topic, second.take)
    await first.until('the first is out', () => first.consumer.state === 'stopped')
    await expect(first.consumer.run()).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER_ID', context: { kafkaCode: 82 } })
    await refill(topic, 2, 2)
    await second.until('the second reads on', () => second.values.length === 2)
    expect(second.of(topic, 0)).toEqual(valuesOf(`${topic}/0`, 2, 2))
  })

  it('CO-12, C-8, CD-1: damaged batches on the disk are told with their place, others go on, seek passes them', async () => {
    const topic = await topicWith(0, PARTITIONS)
    const producer = stage.producer({ compression: 'none' })
    for (let n = 0; n < 3; n++) {
      for (let p = 0; p < PARTITIONS; p++) await producer.sendSync(topic, `${p}: ${n}`, { partition: p })
    }
    await producer.close()
    const { dataFolder } = own as OwnKafka
    await restartNode(own as OwnKafka, 'clean', () => {
      const damage = (partition: number, how: (batch: Buffer) => void) =>
        damageBatch(join(dataFolder as string, 'n1', `${topic}-${partition}`), 1, how)
      damage(0, (batch) => batch.writeUInt8(batch.readUInt8(PAYLOAD_AT + 5) ^ 1, PAYLOAD_AT + 5))
      damage(1, (batch) => withCrc(withCodec(batch, UNKNOWN_CODEC)))
      damage(2, (batch) => withCrc(withCodec(batch, LZ4)))
    })
    const heard = stage.heard({ groupId: groupName(), deliverErrors: true })
    const delivered: string[] = []
    await heard.consumer.subscribe(topic, (record, tp, error) => {
      if (error === null) heard.take(record)
      else delivered.push(`${tp.partition} ${error.code}`)
    })
    await heard.until(
      'three are damaged, one is not',
      () => heard.errors.length === 3 && heard.of(topic, 3).length === 3,
    )
    const told = [...heard.errors].sort((a, b) => Number(a.context.partition) - Number(b.context.partition))
    expect(told).toMatchObject([
      { code: 'CONSUME_FAILED', context: { reason: 'CORRUPT_BATCH', topic, partition: 0, offset: 1 } },
      { code: 'CONSUME_FAILED', context: { reason: 'CORRUPT_BATCH', topic, partition: 1, offset: 1 } },
      { code: 'DECOMPRESSION_FAILED', context: { topic, partition: 2, offset: 1 } },
    ])
    expect(delivered.sort()).toEqual(['0 CONSUME_FAILED', '1 CONSUME_FAILED', '2 DECOMPRESSION_FAILED'])
    expect([0, 1, 2, 3].map((p) => heard.of(topic, p))).toEqual([
      ['0: 0'],
      ['1: 0'],
      ['2: 0'],
      ['3: 0', '3: 1', '3: 2'],
    ])
    for (const partition of [0, 1, 2]) heard.consumer.seek({ topic, partition }, 2)
    await heard.until('all that can be read', () => heard.values.length === 9)
    expect([0, 1, 2].map((p) => heard.of(topic, p))).toEqual([0, 1, 2].map((p) => [`${p}: 0`, `${p}: 2`]))
    expect([heard.errors.length, heard.consumer.getMetrics().failedPartitions]).toEqual([3, []])
  })

  it('CD-1: a codec whose package is missing is CODEC_UNAVAILABLE for its partition; with the package a seek goes on', async () => {
    const topic = await topicWith(0, 2)
    const producer = stage.producer({ compression: 'snappy' })
    await producer.sendSync(topic, 'x'.repeat(5_000), { partition: 0 })
    await refill(topic, 0, 2, 2)
    const absent = new Error("Cannot find package 'snappy'")
    const present = createCompressionCodec('snappy')
    const heard = stage.heard({ groupId: groupName() })
    registerCodec(
      makeSnappyCodec(() => {
        throw absent
      }),
    )
    try {
      await heard.consumer.subscribe(topic, heard.take)
      await heard.until(
        'one cannot be read, the other is',
        () => heard.errors.length === 1 && heard.values.length === 2,
      )
    } finally {
      registerCodec(present)
    }
    const context = { reason: 'CODEC_UNAVAILABLE', topic, partition: 0, offset: 0 }
    expect(heard.errors).toMatchObject([{ code: 'DECOMPRESSION_FAILED', context }])
    heard.consumer.seek({ topic, partition: 0 }, 0)
    await heard.until('all is read', () => heard.values.length === 5)
    expect(heard.of(topic, 0)).toEqual(['x'.repeat(5_000), ...valuesOf(`${topic}/0`, 2)])
  })
})

describeWithKafka('a broker that has no KIP-848', () => {
  let old: OwnKafka | undefined
  let whyNot = ''
  beforeAll(() => {
    const before = process.env.KAFKA_VERSION
    process.env.KAFKA_VERSION = '3.9.1'
    try {
      kafka(['jars'], '') // fetched, if that is possible
      old = startOwnKafka({})
    } catch (error) {
      whyNot = String(error).split('\n')[0] ?? ''
      return
    } finally {
      if (before === undefined) delete process.env.KAFKA_VERSION
      else process.env.KAFKA_VERSION = before
    }
    brokers = old.brokers
    stage = new ConsumerStage(brokers)
  })
  afterAll(() => old?.stop())

  it("CO-10: 'consumer' is UNSUPPORTED_VERSION, 'auto' and 'classic' read", async ({ skip }) => {
    skip(old === undefined, `no Kafka 3.9.1: ${whyNot}`)
    const topic = await topicWith(3)
    const refused = stage.heard({ groupId: groupName(), groupProtocol: 'consumer' })
    await expect(refused.consumer.subscribe(topic, refused.take)).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      context: { reason: 'UNSUPPORTED_VERSION' },
    })
    const groupId = groupName()
    for (const groupProtocol of ['auto', 'classic'] as const) {
      const heard = stage.heard({ groupId, groupProtocol })
      await heard.consumer.subscribe(topic, heard.take)
      await heard.until('all values', () => heard.values.length === 3)
      await heard.consumer.close()
      expect(heard.errors).toEqual([])
      const stored = await withAdmin(brokers, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }))
      expect(stored[0]?.partitions[0]?.offset).toBe(groupProtocol === 'auto' ? '3' : '6')
      await refill(topic, 3, 3)
    }
  })
})

type Operation = 'READ' | 'WRITE' | 'DESCRIBE' | 'ALL'

function allow(kind: 'TOPIC' | 'GROUP', name: string, operation: Operation): AclEntry {
  return {
    principal: 'User:ANONYMOUS',
    host: '*',
    resourceType: AclResourceTypes[kind],
    resourceName: name,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    operation: AclOperationTypes[operation],
    permissionType: AclPermissionTypes.ALLOW,
  }
}

function deny(kind: 'TOPIC' | 'GROUP', name: string, operation: Operation): AclEntry {
  return { ...allow(kind, name, operation), permissionType: AclPermissionTypes.DENY }
}

/** The broker heeds these rules while `task` runs. */
async function withRules(acl: AclEntry[], task: () => Promise<void>): Promise<void> {
  await withAdmin(brokers, async (admin) => {
    const present = async () => {
      const found = await Promise.all(acl.map((rule) => admin.describeAcls(rule)))
      return found.filter(({ resources }) => resources.length > 0).length
    }
    await admin.createAcls({ acl })
    await eventually('the rules are there', async () => (await present()) === acl.length, LIMIT_MS)
    try {
      await task()
    } finally {
      await admin.deleteAcls({ filters: acl })
      await eventually('the rules are gone', async () => (await present()) === 0, LIMIT_MS)
    }
  })
}

/** Changes batch number `index` of a partition that nobody serves just now. */
function damageBatch(folder: string, index: number, how: (batch: Buffer) => void): void {
  const file = join(folder, '00000000000000000000.log')
  const bytes = readFileSync(file)
  let at = 0
  for (let n = 0; n < index; n++) at += 12 + bytes.readInt32BE(at + 8)
  how(bytes.subarray(at, at + 12 + bytes.readInt32BE(at + 8)))
  writeFileSync(file, bytes)
}

function withCodec(batch: Buffer, codec: number): Buffer {
  batch.writeUInt8((batch.readUInt8(CODEC_AT) & ~7) | codec, CODEC_AT)
  return batch
}
