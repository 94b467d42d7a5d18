import { describe, expect, it } from 'vitest'
import type { TopicMetadata } from '../../lib/cluster/index.js'
import { Metadata } from '../../lib/protocol/index.js'
import { settle } from './memory-net.js'
import type { ScriptedTopic } from './scripted-broker.js'
import { failureOf, pass, passUntil, type Scene, scene } from './support.js'

const OTHER_ID = 'AAAAAAAAAAAAAAAAAAAAAg'

async function ready(count = 3, options = {}): Promise<Scene & { told: TopicMetadata[] }> {
  const made = scene(count, options)
  await made.cluster.connect()
  made.cluster.useTopic('orders')
  await passUntil(made.clock, made.cluster.refresh('test'))
  const told: TopicMetadata[] = []
  made.cluster.onTopic((topic) => told.push(topic))
  return { ...made, told }
}

const refresh = ({ clock, cluster }: Scene) => passUntil(clock, cluster.refresh('test'))
const orders = ({ state }: Scene) => state.topics.get('orders') as ScriptedTopic
const leaders = ({ cluster }: Scene) => cluster.topic('orders')?.partitions.map(({ leaderId }) => leaderId)
const metadataRequests = ({ brokers }: Scene) => brokers.reduce((sum, broker) => sum + broker.count(Metadata), 0)

describe('metadata', () => {
  it('knows cluster id, brokers, topics by name and by id', async () => {
    const made = await ready()
    expect(made.cluster.clusterId).toBe('cluster-a')
    expect(made.cluster.brokers().map(({ brokerId }) => brokerId)).toEqual([1, 2, 3])
    expect(leaders(made)).toEqual([1, 2, 3])
    expect(made.cluster.topicById('AAAAAAAAAAAAAAAAAAAAAQ')).toBe(made.cluster.topic('orders'))
    expect(made.cluster.topic('orders')?.partitions[1]).toMatchObject({ partition: 1, leaderEpoch: 5, isr: [1, 2, 3] })
  })

  it('W-24: many askers cost one question; those that ask during it share one more', async () => {
    const made = await ready()
    const before = metadataRequests(made)
    const asked = Array.from({ length: 50 }, () => made.cluster.refresh('test'))
    await pass(made.clock, 100)
    asked.push(...Array.from({ length: 50 }, () => made.cluster.refresh('test')))
    await passUntil(made.clock, Promise.all(asked))
    expect(metadataRequests(made) - before).toBe(2)
  })

  it('W-24: questions are at least 100 ms apart', async () => {
    const made = await ready()
    const times: number[] = []
    for (const broker of made.brokers) {
      broker.on(Metadata, (request) => {
        times.push(made.clock.monotonicMs())
        request.reply(broker.metadata(request.body.topics?.map(({ name }) => name) ?? null))
      })
    }
    for (let step = 0; step < 100; step++) {
      made.cluster.refresh('storm').catch(() => {})
      await pass(made.clock, 10)
    }
    expect(times.length).toBeGreaterThan(5)
    expect(times.slice(1).every((time, index) => time - (times[index] as number) >= 100)).toBe(true)
  })

  it('W-24: only topics in use are asked for, none at all at first, and nothing may be created', async () => {
    const made = scene(1)
    await made.cluster.connect()
    made.cluster.useTopic('orders')
    await refresh(made)
    const asked = made.brokers[0]
      ?.of(Metadata)
      .map(({ body }) => [body.topics?.map(({ name }) => name), body.allowAutoTopicCreation])
    expect(asked).toEqual([
      [[], false],
      [['orders'], false],
    ])
  })

  it('W-24: metadata gets old: asked again after metadataMaxAgeMs', async () => {
    const made = await ready(1, { metadataMaxAgeMs: 5000 })
    const before = metadataRequests(made)
    await pass(made.clock, 4900, 100)
    expect(metadataRequests(made)).toBe(before)
    await pass(made.clock, 5200, 100)
    expect(metadataRequests(made)).toBe(before + 2)
  })

  it('W-25: a lower leader epoch changes nothing, an equal one not the leader, a higher one everything', async () => {
    const made = await ready()
    const set = async (leaderId: number, leaderEpoch: number) => {
      orders(made).partitions[0] = { leaderId, leaderEpoch }
      await refresh(made)
      const { leaderId: id, leaderEpoch: epoch } = made.cluster.topic('orders')?.partitions[0] ?? {}
      return [id, epoch]
    }
    expect(await set(2, 4)).toEqual([1, 5])
    expect(await set(2, 5)).toEqual([1, 5])
    expect(made.told).toEqual([])
    expect(await set(2, 6)).toEqual([2, 6])
    expect(await set(1, 5)).toEqual([2, 6])
    expect(made.told.length).toBe(1)
  })

  it('W-25: brokers answer out of order: the newest epoch wins whoever tells it', async () => {
    const made = await ready()
    const epochs = [9, 7, 12, 3, 12, 11]
    const seen: number[] = []
    for (const leaderEpoch of epochs) {
      orders(made).partitions[2] = { leaderId: 1 + (leaderEpoch % 3), leaderEpoch }
      await refresh(made)
      seen.push(made.cluster.topic('orders')?.partitions[2]?.leaderEpoch ?? -1)
    }
    expect(seen).toEqual([9, 9, 12, 12, 12, 12])
    expect(leaders(made)?.[2]).toBe(1)
  })

  it('W-25: leader -1 under a higher epoch is believed, and asked about again with back-off until there is one', async () => {
    const made = await ready()
    orders(made).partitions[0] = { leaderId: -1, leaderEpoch: 6, errorCode: 5 }
    await refresh(made)
    expect(leaders(made)).toEqual([-1, 2, 3])
    const before = metadataRequests(made)
    await pass(made.clock, 2000)
    const asked = metadataRequests(made) - before
    expect(asked).toBeGreaterThan(1)
    expect(asked).toBeLessThan(20)
    orders(made).partitions[0] = { leaderId: 3, leaderEpoch: 7 }
    await pass(made.clock, 6000, 50)
    expect(leaders(made)).toEqual([3, 2, 3])
    const settled = metadataRequests(made)
    await pass(made.clock, 10_000, 100)
    expect(metadataRequests(made)).toBe(settled)
  })

  it.each([9, 72])('W-25: partition error %i does not hide the leader', async (errorCode) => {
    const made = await ready()
    orders(made).partitions[0] = { leaderId: 2, leaderEpoch: 6, errorCode }
    await refresh(made)
    expect(made.cluster.topic('orders')?.partitions[0]).toMatchObject({ leaderId: 2, errorCode })
  })

  it.each([3, 17, 29])(
    'W-24, P-62: topic error %i concerns that topic alone, and keeps what was known',
    async (errorCode) => {
      const made = await ready()
      made.state.topics.set('bad', { errorCode, partitions: [] })
      made.cluster.useTopic('bad')
      orders(made).partitions[0] = { leaderId: 2, leaderEpoch: 6 }
      await refresh(made)
      expect(leaders(made)).toEqual([2, 2, 3])
      expect(made.cluster.topic('bad')).toMatchObject({ errorCode, partitions: [] })
      orders(made).errorCode = errorCode
      await refresh(made)
      expect(made.cluster.topic('orders')).toMatchObject({ errorCode, topicId: 'AAAAAAAAAAAAAAAAAAAAAQ' })
      expect(leaders(made)).toEqual([2, 2, 3])
      expect(made.told.at(-1)?.errorCode).toBe(errorCode)
    },
  )

  it('W-28: another topic id under a known name is another topic, whatever its epochs', async () => {
    const made = await ready()
    made.state.topics.set('orders', { topicId: OTHER_ID, partitions: [{ leaderId: 3, leaderEpoch: 0 }] })
    await refresh(made)
    expect(leaders(made)).toEqual([3])
    expect(made.cluster.topicById(OTHER_ID)?.name).toBe('orders')
    expect(made.cluster.topicById('AAAAAAAAAAAAAAAAAAAAAQ')).toBeUndefined()
    expect(made.told.map(({ topicId }) => topicId)).toEqual([OTHER_ID])
  })

  it('more partitions are told; a shorter list of the same topic is an old one', async () => {
    const made = await ready()
    orders(made).partitions.push({ leaderId: 1, leaderEpoch: 0 })
    await refresh(made)
    expect(made.told.map(({ partitions }) => partitions.length)).toEqual([4])
    orders(made).partitions.pop()
    await refresh(made)
    expect(leaders(made)).toEqual([1, 2, 3, 1])
  })

  it('onTopic is told of changes only, and no more after it was taken back', async () => {
    const made = await ready()
    const off = made.cluster.onTopic(() => expect.unreachable())
    off()
    await refresh(made)
    expect(made.told).toEqual([])
  })

  it('P-61: an answer whose partitions have gaps is not believed; the next broker is asked', async () => {
    const made = await ready(1)
    made.brokers[0]?.on(Metadata, (request) => {
      const answer = made.brokers[0]?.metadata(['orders'])
      const [topic] = answer?.topics ?? []
      request.reply({ ...answer, topics: [{ ...topic, partitions: topic?.partitions?.slice(1) ?? [] }] } as never)
    })
    const failed = await failureOf(refresh(made))
    expect(failed.context.reason).toBe('MALFORMED_FRAME')
    expect(leaders(made)).toEqual([1, 1, 1])
  })
})

describe('leader hints', () => {
  it('W-26, P-40: a higher epoch is applied at once, without a question', async () => {
    const made = await ready()
    const before = metadataRequests(made)
    expect(made.cluster.applyLeaderHint('orders', 0, 2, 6, [])).toBe(true)
    expect([leaders(made), made.told.length]).toEqual([[2, 2, 3], 1])
    await pass(made.clock, 500)
    expect(metadataRequests(made)).toBe(before)
  })

  it('W-26: no news, no leader, an unknown topic or partition, a leader without address: false', async () => {
    const made = await ready()
    const { cluster } = made
    expect(cluster.applyLeaderHint('orders', 0, 2, 5, [])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 0, -1, 9, [])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 7, 2, 9, [])).toBe(false)
    expect(cluster.applyLeaderHint('other', 0, 2, 9, [])).toBe(false)
    expect(cluster.applyLeaderHint('orders', 0, 42, 9, [])).toBe(false)
    expect(leaders(made)).toEqual([1, 2, 3])
  })

  it('W-26: endpoints make a broker known that metadata has not named yet', async () => {
    const made = await ready()
    const { cluster, net, brokers } = made
    const port = net.listen(brokers[2]!.accept)
    expect(cluster.applyLeaderHint('orders', 0, 9, 6, [{ nodeId: 9, host: 'nine', port }])).toBe(true)
    await cluster.link(9, 'produce').whenReady(1000)
    expect(cluster.brokers().find(({ brokerId }) => brokerId === 9)).toMatchObject({ host: 'nine', port })
  })
})

describe('finding the cluster', () => {
  it('W-27: bootstrap addresses are for bootstrap only', async () => {
    const made = scene(2)
    const balancer = made.net.listen(made.brokers[0]!.accept)
    const { Cluster } = await import('../../lib/cluster/index.js')
    const cluster = new Cluster(
      { brokers: [{ host: 'balancer', port: balancer }] },
      { clock: made.clock, dial: made.net.dial },
    )
    await cluster.connect()
    expect(made.net.openConnections).toBe(0)
    const later = passUntil(made.clock, cluster.refresh('test'))
    await later
    expect(made.net.dialled.filter((port) => port === balancer).length).toBe(1)
    await cluster.close()
  })

  it('tries every address, and says what happened to each when all fail', async () => {
    const made = scene(2, { maxRetries: 0 })
    for (const { port } of made.state.brokers) made.net.refuse(port)
    const error = await failureOf(passUntil(made.clock, made.cluster.connect()))
    expect(error.code).toBe('CONNECTION_FAILED')
    expect(error.message).toMatch(/broker:9001, broker:9002.*refused.*refused/)
    expect([...made.net.dialled].sort()).toEqual([9001, 9002])
  })

  it('connect makes maxRetries further rounds, with back-off; a later call begins anew', async () => {
    const made = scene(1, { maxRetries: 2 })
    const port = made.state.brokers[0]?.port as number
    made.net.refuse(port)
    await failureOf(passUntil(made.clock, made.cluster.connect()))
    expect(made.net.dialled.length).toBe(3)
    made.net.listenAt(port, made.brokers[0]!.accept)
    await passUntil(made.clock, made.cluster.connect())
    expect(made.cluster.brokers().length).toBe(1)
  })

  it('W-27: all known brokers unreachable: begins again from the bootstrap addresses', async () => {
    const made = await ready(1)
    const [broker] = made.brokers
    const old = made.state.brokers[0] as { port: number }
    await made.cluster.link(1, 'control').whenReady(1000)
    // The broker moves; the bootstrap address leads to the new place.
    const moved = made.net.listen(broker!.accept)
    made.state.brokers[0] = { nodeId: 1, host: 'broker', port: moved }
    broker?.hangUp()
    await passUntil(made.clock, made.cluster.refresh('test'))
    expect(made.net.dialled.at(-1)).toBe(old.port)
    expect(made.cluster.brokers()[0]?.port).toBe(moved)
  })

  it('W-27: error 129 begins again from the bootstrap addresses although the brokers can be reached', async () => {
    const made = await ready(1)
    const [broker] = made.brokers
    const dialled = made.net.dialled.length
    let answers = 0
    broker?.on(Metadata, (request) => {
      request.reply(answers++ === 0 ? { brokers: [], topics: [], errorCode: 129 } : broker.metadata(['orders']))
    })
    orders(made).partitions[0] = { leaderId: 1, leaderEpoch: 8 }
    await refresh(made)
    expect([answers, made.net.dialled.length - dialled]).toEqual([2, 1])
    expect(made.cluster.topic('orders')?.partitions[0]?.leaderEpoch).toBe(8)
  })

  it('W-28: another cluster id: one event, the old metadata stays, refreshes fail', async () => {
    const made = await ready(1)
    made.state.clusterId = 'cluster-b'
    orders(made).partitions[0] = { leaderId: 9, leaderEpoch: 99 }
    const error = await failureOf(refresh(made))
    await failureOf(refresh(made))
    expect(error.context).toMatchObject({ addresses: ['broker:9001'] })
    expect(made.events.filter(({ name }) => name === 'clusterIdChanged').map(({ event }) => event)).toEqual([
      { expected: 'cluster-a', actual: 'cluster-b' },
    ])
    expect([made.cluster.clusterId, leaders(made)?.[0]]).toEqual(['cluster-a', 1])
  })

  it('a broker that knows no broker yet is not believed', async () => {
    const made = scene(1, { maxRetries: 0 })
    const [broker] = made.brokers
    broker?.on(Metadata, (request) => request.reply({ brokers: [], topics: [] }))
    const error = await failureOf(passUntil(made.clock, made.cluster.connect()))
    expect(error.message).toContain('no broker yet')
  })

  it('one warning per outage; the client recovers by itself, with topics in use', async () => {
    const made = await ready(1)
    const port = made.state.brokers[0]?.port as number
    made.net.refuse(port)
    made.brokers[0]?.hangUp()
    made.cluster.refresh('test').catch(() => {})
    await pass(made.clock, 10_000, 50)
    expect(made.events.filter(({ name }) => name === 'warning').length).toBe(1)
    orders(made).partitions[0] = { leaderId: 1, leaderEpoch: 8 }
    made.net.listenAt(port, made.brokers[0]!.accept)
    await pass(made.clock, 6000, 50)
    expect(made.cluster.topic('orders')?.partitions[0]?.leaderEpoch).toBe(8)
  })

  it('W-10: a silent broker is passed over, the next one answers', async () => {
    const made = await ready(2, { readTimeoutMs: 1000 })
    for (const id of [1, 2]) await made.cluster.link(id, 'control').whenReady(1000)
    made.brokers[0]?.on(Metadata, () => {})
    const [first, second] = made.brokers.map((broker) => broker.count(Metadata))
    await refresh(made)
    const [silent, helpful] = made.brokers.map((broker) => broker.count(Metadata))
    expect(silent).toBe((first ?? 0) + 1)
    expect(helpful).toBeGreaterThan(second ?? 0)
  })
})

describe('waitForTopic', () => {
  const wait = { timeoutMs: 5000 }

  it('answers from the cache without a question', async () => {
    const made = await ready()
    const before = metadataRequests(made)
    expect(await made.cluster.waitForTopic('orders', wait)).toBe(made.cluster.topic('orders'))
    expect(metadataRequests(made)).toBe(before)
  })

  it('works without connect: finding the cluster is part of it', async () => {
    const made = scene(1)
    const topic = await passUntil(made.clock, made.cluster.waitForTopic('orders', wait))
    expect(topic.partitions.length).toBe(3)
  })

  it('P-39: "unknown" is tolerated until the topic comes', async () => {
    const made = await ready()
    const waiting = made.cluster.waitForTopic('new', { timeoutMs: 60_000 })
    await pass(made.clock, 12_000, 50)
    made.state.topics.set('new', { topicId: OTHER_ID, partitions: [{ leaderId: 1, leaderEpoch: 0 }] })
    expect((await passUntil(made.clock, waiting)).topicId).toBe(OTHER_ID)
  })

  it('PR-24: TOPIC_NOT_FOUND after timeoutMs; the name is not asked for any more', async () => {
    const made = await ready(1)
    const error = await failureOf(passUntil(made.clock, made.cluster.waitForTopic('nowhere', wait)))
    expect([error.code, error.context.kafkaName]).toEqual(['TOPIC_NOT_FOUND', 'UNKNOWN_TOPIC_OR_PARTITION'])
    await refresh(made)
    const last = made.brokers[0]?.of(Metadata).at(-1)
    expect(last?.body.topics?.map(({ name }) => name)).toEqual(['orders'])
  })

  it('PR-24: unknownTopicRetries counts answers', async () => {
    const made = await ready()
    const names = () =>
      made.brokers
        .flatMap((one) => one.of(Metadata))
        .filter(({ body }) => body.topics?.some(({ name }) => name === 'x'))
    const error = await failureOf(
      passUntil(made.clock, made.cluster.waitForTopic('x', { timeoutMs: 60_000, unknownTopicRetries: 2 })),
    )
    expect([error.code, names().length]).toEqual(['TOPIC_NOT_FOUND', 3])
  })

  it.each([
    [17, 'INVALID_TOPIC'],
    [29, 'AUTHORIZATION_FAILED'],
  ])('error %i ends it at once: %s', async (errorCode, code) => {
    const made = await ready()
    made.state.topics.set('bad', { errorCode, partitions: [] })
    const error = await failureOf(passUntil(made.clock, made.cluster.waitForTopic('bad', { timeoutMs: 60_000 })))
    expect([error.code, error.context.topic]).toEqual([code, 'bad'])
    expect(made.clock.monotonicMs()).toBeLessThan(1000)
  })

  it('P-39: error 5 after automatic creation is waited out', async () => {
    const made = await ready()
    made.state.topics.set('auto', { errorCode: 5, partitions: [] })
    const waiting = made.cluster.waitForTopic('auto', wait)
    await pass(made.clock, 1000)
    made.state.topics.set('auto', { partitions: [{ leaderId: 1, leaderEpoch: 0 }] })
    expect((await passUntil(made.clock, waiting)).errorCode).toBe(0)
  })

  it('W-29: only a question that a write caused may create, and only that topic', async () => {
    const made = await ready(1)
    const before = made.brokers[0]?.count(Metadata) ?? 0
    const waiting = made.cluster.waitForTopic('auto', { ...wait, allowAutoCreate: true })
    await pass(made.clock, 150)
    made.state.topics.set('auto', { partitions: [{ leaderId: 1, leaderEpoch: 0 }] })
    await passUntil(made.clock, waiting)
    await refresh(made)
    const asked = made.brokers[0]
      ?.of(Metadata)
      .slice(before)
      .map(({ body }) => body)
    const creating = asked?.filter(({ allowAutoTopicCreation }) => allowAutoTopicCreation)
    expect(creating?.length).toBeGreaterThan(0)
    expect(creating?.every(({ topics }) => topics?.length === 1 && topics[0]?.name === 'auto')).toBe(true)
    expect(asked?.at(-1)).toMatchObject({ allowAutoTopicCreation: false })
  })

  it('P-62: one that never comes does not hold up another', async () => {
    const made = await ready()
    const never = failureOf(made.cluster.waitForTopic('never', { timeoutMs: 20_000 }))
    made.state.topics.set('soon', { partitions: [{ leaderId: 1, leaderEpoch: 0 }] })
    await passUntil(made.clock, made.cluster.waitForTopic('soon', wait), 1000)
    expect((await passUntil(made.clock, never)).code).toBe('TOPIC_NOT_FOUND')
  })

  it('no broker answers: TIMEOUT with the last connection error as cause', async () => {
    const made = scene(1)
    made.net.refuse(made.state.brokers[0]?.port as number)
    const error = await failureOf(passUntil(made.clock, made.cluster.waitForTopic('orders', wait)))
    expect([error.code, error.retryable]).toEqual(['TIMEOUT', true])
    expect(String(error)).toContain('refused')
  })

  it('P-7: an aborted wait rejects with the signal’s reason and leaves nothing behind', async () => {
    const made = await ready()
    const abort = new AbortController()
    const waiting = made.cluster.waitForTopic('nowhere', { timeoutMs: 60_000, signal: abort.signal })
    waiting.catch(() => {})
    await pass(made.clock, 50)
    abort.abort('changed my mind')
    await expect(waiting).rejects.toBe('changed my mind')
    await expect(made.cluster.waitForTopic('x', { ...wait, signal: abort.signal })).rejects.toBe('changed my mind')
    await settle()
  })
})
