/**
 * What a real broker refuses reaches a user of the facade with the right code, number, name, place and advice; the table of
 * test/errors/provoked.test.ts says the same of the in-process broker.
 * Proved elsewhere on a real Kafka, and not repeated here:
 * - group-bad-input: AUTHORIZATION_FAILED of readers and groups, INCONSISTENT_GROUP_PROTOCOL, INVALID_SESSION_TIMEOUT,
 *   UNKNOWN_MEMBER_ID, CORRUPT_BATCH, CODEC_UNAVAILABLE, UNSUPPORTED_VERSION, TOPIC_NOT_FOUND of a subscription;
 * - offsets: ILLEGAL_GENERATION, commits of members that are none; producer: TOPIC_NOT_FOUND, TIMEOUT; identity: in doubt;
 * - security: AUTHENTICATION_FAILED; admin: INVALID_TOPIC; pool: POOL_EXHAUSTED, CONNECTION_FAILED.
 */
import { randomUUID } from 'node:crypto'
import kafkajs, { type AclEntry } from 'kafkajs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MQ, type MQConfig, MQError } from '../../lib/index.js'
import { expectForms } from '../errors/provoked/scene.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, withAdmin } from '../support/interop-kafkajs.js'
import {
  brokers,
  createTopic,
  describeWithKafka,
  jarFolder,
  type OwnKafka,
  startOwnKafka,
} from '../support/real-kafka.js'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs
const LIMIT_MS = 20_000

const open: MQ[] = []
afterEach(async () => {
  for (const mq of open.splice(0)) await mq.close({ timeoutMs: 5_000 })
})

function anMQ(at: readonly string[], config: MQConfig = {}): MQ {
  const mq = new MQ({ brokers: at.join(','), logLevel: 'silent', monitoring: { intervalMs: 0 }, ...config })
  open.push(mq)
  return mq
}

/** The MQError of a refusal; its forms are checked on the way. */
async function refusal(call: Promise<unknown>): Promise<MQError> {
  const error = await call.then(
    (value) => expect.fail(`expected a refusal, got ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MQError)
  expectForms(error as MQError)
  return error as MQError
}

const groupName = () => `errors-${randomUUID().slice(0, 8)}`

describeWithKafka('ER-3: a real Kafka refuses', () => {
  it('ER-3: a record without a key for a compacted topic: 87, and the broker says why', async () => {
    const topic = await createTopic('errors', { configs: { 'cleanup.policy': 'compact' } })
    const error = await refusal(anMQ(brokers).sendSync(topic, 'x'))
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', retryable: false, fatal: false })
    const context = { kafkaCode: 87, kafkaName: 'INVALID_RECORD', topic, partition: 0, persistence: 'not-persisted' }
    expect(error.context).toMatchObject(context)
    expect(error.message).toContain(`87 INVALID_RECORD for ${topic}/0`)
    expect(error.message).toMatch(/without key/)
  })

  it('ER-3: a record larger than max.message.bytes: 10, with what to raise', async () => {
    const topic = await createTopic('errors', { configs: { 'max.message.bytes': '2000' } })
    const mq = anMQ(brokers, { producer: { compression: 'none' } })
    const error = await refusal(mq.sendSync(topic, 'x'.repeat(3_000)))
    expect(error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retryable: false, fatal: false })
    expect(error.context).toMatchObject({ kafkaCode: 10, topic, records: 1, persistence: 'not-persisted' })
    expect(error.message).toContain('max.message.bytes')
    await expect(mq.sendSync(topic, 'small')).resolves.toMatchObject({ offset: 0 })
  })

  it('ER-3: a record of tomorrow where the topic wants those of now: 32', async () => {
    const topic = await createTopic('errors', { configs: { 'message.timestamp.after.max.ms': '1000' } })
    const error = await refusal(anMQ(brokers).sendSync(topic, 'x', { timestamp: Date.now() + 86_400_000 }))
    expect(error).toMatchObject({ code: 'PRODUCE_FAILED', retryable: false })
    expect(error.context).toMatchObject({ kafkaCode: 32, kafkaName: 'INVALID_TIMESTAMP', persistence: 'not-persisted' })
    expect(error.message).toMatch(/timestamp/i)
  })

  it("ER-3, CO-11: an offset that was deleted, with autoOffsetReset 'none': INVALID_OFFSET/OFFSET_OUT_OF_RANGE", async () => {
    const topic = await createTopic('errors')
    const mq = anMQ(brokers, { consumer: { autoOffsetReset: 'none' } })
    for (const value of 'abc') await mq.sendSync(topic, value)
    const connection = await mq.pool.getConnection()
    const partitions = [{ partitionIndex: 0, offset: 2 }]
    const { topics } = await connection.request('DeleteRecords', {
      topics: [{ name: topic, partitions }],
      timeoutMs: 5_000,
    })
    connection.release()
    expect(topics[0]?.partitions[0]?.errorCode).toBe(0)
    const told = new Promise<MQError>((resolve) => mq.on('error', resolve))
    await mq.consumer.assign([{ topic, partition: 0, offset: 1 }], () => {})
    const error = await told
    expect(error).toMatchObject({ code: 'INVALID_OFFSET', retryable: false, fatal: false })
    expect(error.context).toMatchObject({ reason: 'OFFSET_OUT_OF_RANGE', topic, partition: 0, offset: 1 })
    expect(error.cause).toMatchObject({ context: { kafkaCode: 1, kafkaName: 'OFFSET_OUT_OF_RANGE' } })
    expectForms(error)
  })

  it('ER-3, CO-9: more metadata than the broker keeps: OFFSET_COMMIT_FAILED by 12, with both numbers', async () => {
    const topic = await createTopic('errors')
    const { consumer } = anMQ(brokers, { consumer: { groupId: groupName() } })
    await consumer.assign([topic], () => {})
    const offsets = [{ topic, partition: 0, offset: 0, metadata: 'x'.repeat(5_000) }]
    const error = await refusal(consumer.commitOffsets(offsets))
    expect(error).toMatchObject({ code: 'OFFSET_COMMIT_FAILED', retryable: false })
    expect(error.context['partitions']).toMatchObject([{ topic, partition: 0, offset: 0, kafkaCode: 12 }])
    expect(error.message).toMatch(/5000 B.*4096/)
  })

  it('ER-3: a partition that is not there: of a send, an assignment, a reset', async () => {
    const topic = await createTopic('errors', { partitions: 2 })
    const mq = anMQ(brokers)
    const sent = await refusal(mq.sendSync(topic, 'x', { partition: 7 }))
    const assigned = await refusal(mq.consumer.assign([{ topic, partition: 7 }], () => {}))
    for (const error of [sent, assigned]) {
      expect(error).toMatchObject({ code: 'INVALID_PARTITION', fatal: true })
      expect(error.context).toMatchObject({ topic, partition: 7, partitions: 2 })
    }
    const reset = mq.admin.resetOffsets(groupName(), topic, { partitions: [7], to: 'earliest' })
    expect(await refusal(reset)).toMatchObject({ code: 'PARTITION_NOT_FOUND', context: { topic, partition: 7 } })
  })

  it('ER-3: deleting a group that has members: 68, and what to do', async () => {
    const topic = await createTopic('errors')
    const groupId = groupName()
    const mq = anMQ(brokers, { consumer: { groupId } })
    await mq.subscribe(topic, () => {})
    const [result] = await mq.admin.deleteGroups([groupId])
    expect(result?.error).toMatchObject({ code: 'CONSUME_FAILED', context: { kafkaCode: 68, groupId } })
    expect(result?.error?.message).toMatch(/68 NON_EMPTY_GROUP for group .*member/)
  })
})

describe.skipIf(jarFolder === null)('ER-3: a real Kafka with permissions', () => {
  let own: OwnKafka | undefined
  let at: readonly string[] = []
  beforeAll(() => {
    own = startOwnKafka({
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'allow.everyone.if.no.acl.found': 'true',
    })
    at = own.brokers
  })
  afterAll(() => own?.stop())

  it('ER-3: WRITE is denied: the send names topic and permission, and works when it is given', async () => {
    const topic = `errors-${randomUUID().slice(0, 8)}`
    await createTopicNamed(at, topic, 1)
    const mq = anMQ(at)
    await withRules(at, [allow(topic, 'DESCRIBE'), deny(topic, 'WRITE')], async () => {
      const error = await refusal(mq.sendSync(topic, 'x'))
      expect(error).toMatchObject({ code: 'AUTHORIZATION_FAILED', fatal: true, retryable: false, family: 'auth' })
      const resource = { resource: `topic ${topic}`, operation: 'WRITE' }
      const kafka = { kafkaCode: 29, kafkaName: 'TOPIC_AUTHORIZATION_FAILED' }
      expect(error.context).toMatchObject({ ...resource, ...kafka, topic, partition: 0, persistence: 'not-persisted' })
    })
    await expect(mq.sendSync(topic, 'y')).resolves.toMatchObject({ offset: 0 })
  })

  it('ER-3: DESCRIBE is denied: a send and a question of the administrator name it', async () => {
    const topic = `errors-${randomUUID().slice(0, 8)}`
    await createTopicNamed(at, topic, 1)
    const mq = anMQ(at)
    await withRules(at, [deny(topic, 'ALL')], async () => {
      const sent = await refusal(mq.sendSync(topic, 'x'))
      const asked = await refusal(mq.admin.getTopicOffsets(topic))
      for (const error of [sent, asked]) {
        expect(error).toMatchObject({ code: 'AUTHORIZATION_FAILED', fatal: true, retryable: false })
        expect(error.context).toMatchObject({ kafkaCode: 29, resource: `topic ${topic}`, operation: 'DESCRIBE', topic })
        expect(error.message).toContain(`needs DESCRIBE on topic ${topic}`)
      }
    })
  })
})

type Permission = 'READ' | 'WRITE' | 'DESCRIBE' | 'ALL'

function allow(topic: string, operation: Permission): AclEntry {
  return {
    principal: 'User:ANONYMOUS',
    host: '*',
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    operation: AclOperationTypes[operation],
    permissionType: AclPermissionTypes.ALLOW,
  }
}

function deny(topic: string, operation: Permission): AclEntry {
  return { ...allow(topic, operation), permissionType: AclPermissionTypes.DENY }
}

/** The broker heeds these rules while `task` runs. */
async function withRules(at: readonly string[], acl: AclEntry[], task: () => Promise<void>): Promise<void> {
  await withAdmin(at, async (admin) => {
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
