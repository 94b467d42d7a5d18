/** Every case of wal.md 1.3 that the resolution decides: its end, its count, its event. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../../lib/broker/index.js'
import { Outcome } from '../../../../lib/wal/index.js'
import { writeAs } from '../../identity-support.js'
import { type Crash, crash, PID, PLACE } from './support/stage.js'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** Older than a broker surely remembers: 24 h less the margin of half an hour. */
const OLD_MS = 23.75 * HOUR_MS

/** The one event a scene has, without what all have in common. */
function onlyEdge(scene: Crash) {
  expect(scene.told.edges).toHaveLength(1)
  const { topic, partition, incarnationId, ...rest } = scene.told.edges[0] as (typeof scene.told.edges)[number]
  expect({ topic, partition, incarnationId }).toEqual({ ...PLACE, incarnationId: '00000000000000a1' })
  return rest
}

function expectHeld(scene: Crash, edge: string, records: number): void {
  expect(scene.told.holds).toEqual([{ stream: 1, edge, records }])
  expect(scene.told.openings).toEqual([])
  expect(scene.resolution.heldStreams).toEqual([{ ...PLACE, case: edge, records }])
  expect(scene.resolution.isDone).toBe(true)
}

describe('E1: the producer id expired, or may have', () => {
  it('found in the log: delivered with its offset, nothing sent', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab', { timestamp: scene.clock.now() - OLD_MS })
    await scene.written(entries)
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3'])
    expect(scene.produced).toBe(0)
    expect(scene.verdicts).toEqual({ found: 2 })
    expect(scene.edges).toEqual({ E1: 6 })
    expect(scene.told.edges.map(({ status, action }) => [status, action])).toEqual([
      ['persisted', 'delivered'],
      ['persisted', 'delivered'],
    ])
  })

  it('not found: the same identity again', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc', { timestamp: scene.clock.now() - OLD_MS })
    await scene.written(entries.slice(0, 1))
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.edges).toEqual({ E1: 9 })
    expect(scene.told.edges.at(-1)).toMatchObject({ case: 'E1', records: 6, status: 'not-persisted', action: 'resent' })
    expect(scene.verdicts).toEqual({ found: 1, delivered: 2 })
  })

  it('the broker still knows: what it has is looked for and not sent, the rest is sent', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc', { timestamp: scene.clock.now() - OLD_MS })
    await scene.written(entries.slice(0, 2))
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.produced).toBe(1)
    expect(scene.edges).toEqual({ E1: 9 })
  })

  it('an unsure attempt is not repeated before it was looked for: the broker forgets at once', async () => {
    const scene = await crash()
    scene.inDoubt('ab', { timestamp: scene.clock.now() - 2 * DAY_MS })
    const dropped = scene.broker.on({ api: 'Produce', nth: 1 }, fault.drop('after'))
    void scene.broker.hit(dropped).then(() => scene.broker.expireProducers())
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
    expect(scene.edges).toEqual({ E1: 6 })
  })

  it('the log was trimmed: ambiguous, held, nothing sent', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc', { timestamp: scene.clock.now() - OLD_MS })
    await scene.written(entries)
    scene.broker.deleteRecords(PLACE, 9)
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(scene.produced).toBe(0)
    expectHeld(scene, 'E1', 9)
    expect(onlyEdge(scene)).toEqual({
      case: 'E1',
      firstPosition: 0,
      lastPosition: 8,
      records: 9,
      status: 'possibly-persisted',
      action: 'held',
    })
    expect(scene.edges).toEqual({ E1: 9 })
  })

  it("a topic with the broker's time is read from its start when the search by time finds nothing", async () => {
    const scene = await crash({ topic: { configs: { 'message.timestamp.type': 'LogAppendTime' } } })
    const future = scene.clock.now() + 2 * HOUR_MS
    const entries = scene.inDoubt('ab', { timestamp: future })
    await scene.written(entries)
    scene.broker.forgetState(PLACE)
    scene.clock.jumpWallClock(2 * DAY_MS)
    await scene.written([])
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3'])
  })

  it('something behind it is acknowledged already: the scan does not begin behind that', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('a', { timestamp: scene.clock.now() - OLD_MS })
    const later = scene.inDoubt('c', { producerId: 9n, from: 0 })
    await scene.written([...entries, ...later])
    scene.wal.settle(1, 3, 5, Outcome.delivered, 3)
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(await scene.logged()).toBe('ac')
    expect(scene.outcomes(entries)).toEqual(['1@0'])
  })

  it('C6: a wall clock that jumped a day back does not make old batches young', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    await scene.written(entries)
    scene.broker.forgetState(PLACE)
    scene.clock.jumpWallClock(-DAY_MS)
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3'])
  })

  it('C6: a wall clock that jumped a day ahead costs a look, and nothing else', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    await scene.written(entries.slice(0, 1))
    scene.clock.jumpWallClock(DAY_MS)
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
  })
})

describe('E2, E3: the broker remembers fewer batches than are in doubt', () => {
  it('E2: eight in doubt, five remembered: three are presumed, and proved by the fourth', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcdefgh')
    await scene.written(entries)
    await scene.resolve()
    expect(await scene.logged()).toBe('abcdefgh')
    expect(scene.verdicts).toEqual({ proven: 3, duplicate: 5 })
    expect(scene.edges).toEqual({ E2: 9 })
    expect(onlyEdge(scene)).toEqual({
      case: 'E2',
      firstPosition: 0,
      lastPosition: 8,
      records: 9,
      status: 'persisted',
      action: 'delivered',
    })
  })

  it('E3: after a clean restart one batch is remembered: the others are presumed, and proved', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcde')
    await scene.written(entries)
    await scene.broker.stop(1)
    await scene.broker.start(1)
    await scene.resolve()
    expect(await scene.logged()).toBe('abcde')
    expect(scene.verdicts).toEqual({ proven: 4, duplicate: 1 })
    expect(scene.edges).toEqual({ E3: 12 })
  })

  it('E2, E3: both at once are told apart', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcdefg')
    await scene.written(entries)
    await scene.broker.stop(1)
    await scene.broker.start(1)
    await scene.resolve()
    expect(scene.edges).toEqual({ E2: 6, E3: 12 })
    expect(scene.verdicts).toEqual({ proven: 6, duplicate: 1 })
  })

  it('E3: the next batch was not written: its acknowledgement proves those before it', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcd')
    await scene.written(entries.slice(0, 3))
    await scene.broker.stop(1)
    await scene.broker.start(1)
    await scene.resolve()
    expect(await scene.logged()).toBe('abcd')
    expect(scene.verdicts).toEqual({ proven: 2, duplicate: 1, delivered: 1 })
  })

  it("E2: the tail of our log is lost, and all that is left was forgotten: found in the partition's log", async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    await scene.written(entries)
    for (const [index, name] of [...'cdefg'].entries()) {
      expect(await scene.send(scene.bytes(name, { baseSequence: 6 + index * 3 }))).toBe(0)
    }
    await scene.resolve()
    expect(await scene.logged()).toBe('abcdefg')
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3'])
    expect(scene.verdicts).toEqual({ found: 2 })
    expect(scene.edges).toEqual({ E2: 6 })
  })

  it('ruling 6: the leader changed between L and the acknowledgement: it proves nothing, L is read again', async () => {
    const scene = await crash({ broker: { nodes: 3 } })
    const entries = scene.inDoubt('abcdef')
    await scene.written(entries)
    const leader = scene.broker.log('orders', 0).leader
    // The answer of the second batch is on its way while the leadership goes away and comes back.
    const held = scene.broker.on({ api: 'Produce', nth: 2 }, fault.hold())
    void scene.broker.hit(held).then(() => {
      scene.broker.moveLeader(PLACE, (leader % 3) + 1)
      scene.broker.moveLeader(PLACE, leader)
      held.release()
    })
    await scene.resolve()
    expect(await scene.logged()).toBe('abcdef')
    // The first was presumed (45), and counted only after a second reading.
    expect(scene.broker.count({ api: 'DescribeProducers' })).toBeGreaterThanOrEqual(3)
    expect(scene.edges).toEqual({ E2: 3 })
    expect(scene.resolution.verdicts.get('proven') ?? scene.resolution.verdicts.get('found')).toBe(1)
  })

  it('ruling 6: the new leader does not have what L named: it is written again, nothing is lost', async () => {
    const scene = await crash({ broker: { nodes: 3 }, topic: { configs: { 'min.insync.replicas': 1 } } })
    const entries = scene.inDoubt('abc')
    await scene.written(entries.slice(0, 2))
    const leader = scene.broker.log('orders', 0).leader
    scene.broker.setIsr(PLACE, [leader])
    const rest = scene.inDoubt('defgh')
    const all = [...entries, ...rest]
    await scene.written(all.slice(2))
    const seen = scene.broker.on({ api: 'Produce', nth: 1 }, fault.hold())
    void scene.broker.hit(seen).then(() => {
      scene.broker.uncleanElection(PLACE, (leader % 3) + 1)
      seen.release()
    })
    await scene.resolve()
    expect(await scene.logged()).toBe('abcdefgh')
  })
})

describe('E4: a leader without state although the log holds acknowledgements', () => {
  it('the header scan from the last acknowledged offset finds what is there, the rest goes again', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 2)
    const entries = scene.inDoubt('abc', { from: 3 })
    await scene.written(entries.slice(0, 1))
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(await scene.logged()).toBe('wabc')
    expect(scene.outcomes(entries)).toEqual(['1@3', '0@6', '0@9'])
    expect(scene.edges).toEqual({ E4: 9 })
    expect(scene.told.edges.map(({ records, status, action }) => [records, status, action])).toEqual([
      [3, 'persisted', 'delivered'],
      [6, 'not-persisted', 'resent'],
    ])
  })

  it('the log begins behind the last acknowledged offset: ambiguous', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 2)
    const entries = scene.inDoubt('ab', { from: 3 })
    await scene.written(entries)
    scene.broker.deleteRecords(PLACE, 6)
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['-', '1@6'])
    expectHeld(scene, 'E4', 3)
    expect(scene.edges).toEqual({ E4: 6 })
  })

  it('Fetch is refused while state is gone: ambiguous (E12)', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 2)
    scene.inDoubt('a', { from: 3 })
    scene.broker.forgetState(PLACE)
    scene.broker.on({ api: 'Fetch' }, fault.error(29))
    await scene.resolve()
    expectHeld(scene, 'E12', 3)
  })
})

describe('E5: the broker lost what it had acknowledged', () => {
  it('the alarm names the sequences, what is in doubt is ambiguous', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(8, 8)
    const entries = scene.inDoubt('ab', { from: 9 })
    await scene.resolve()
    expect(scene.told.losses).toEqual([{ ...PLACE, from: 3, to: 8 }])
    expectHeld(scene, 'E5', 6)
    expect(scene.edges).toEqual({ E5: 6 })
    expect(scene.outcomes(entries)).toEqual(['-', '-'])
    expect(await scene.logged()).toBe('w')
  })

  it('a power loss of the client does not hide that: acknowledged is acknowledged', async () => {
    const scene = await crash({ previous: { mayHaveLostPower: true, durability: 'os' } })
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(8, 8)
    scene.inDoubt('a', { from: 9 })
    await scene.resolve()
    expect(scene.told.losses).toEqual([{ ...PLACE, from: 3, to: 8 }])
    expectHeld(scene, 'E5', 3)
  })

  it('state and log are gone together: the log is shorter than what was acknowledged', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.broker.forgetState(PLACE)
    scene.acknowledged(8, 8)
    scene.inDoubt('ab', { from: 9 })
    await scene.resolve()
    expect(scene.told.losses).toEqual([{ ...PLACE, from: -1, to: 8 }])
    expect(await scene.logged()).toBe('wab')
    expect(scene.edges).toEqual({ E4: 6 })
  })
})

describe('E6, E7: another topic, another cluster', () => {
  it('E6: the topic was made anew: nothing is sent, bound or not', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    scene.unbound('c')
    scene.broker.recreateTopic('orders')
    await scene.resolve()
    expect(scene.produced).toBe(0)
    expectHeld(scene, 'E6', 9)
    expect(scene.edges).toEqual({ E6: 9 })
    expect(scene.told.edges.map(({ records, status, action }) => [records, status, action])).toEqual([
      [6, 'possibly-persisted', 'held'],
      [3, 'not-persisted', 'held'],
    ])
  })

  it('E6: a stream with unbound entries only is refused too', async () => {
    const scene = await crash()
    scene.unbound('c')
    scene.broker.recreateTopic('orders')
    await scene.resolve()
    expectHeld(scene, 'E6', 3)
  })

  it('E6: made anew in the middle (error 100): what was delivered before stays settled', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    const lost = scene.broker.on({ api: 'Produce', nth: 2 }, fault.drop('before'))
    void scene.broker.hit(lost).then(() => scene.broker.recreateTopic('orders'))
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['0@0', '-', '-'])
    expectHeld(scene, 'E6', 6)
    expect(await scene.logged()).toBe('')
  })

  it('E6: a topic that is only deleted is waited for', async () => {
    const scene = await crash()
    scene.inDoubt('a')
    scene.broker.deleteTopic('orders')
    scene.resolution.start()
    for (let turn = 0; turn < 600; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(scene.resolution.isDone).toBe(false)
    expect(scene.resolution.waitingStreams).toHaveLength(1)
    scene.broker.createTopic('orders')
    await scene.resolution.done
    expectHeld(scene, 'E6', 3)
  })

  it('E6: allowRetarget: everything is left for the lane, at least once, after late copies', async () => {
    const scene = await crash({ settings: { allowRetarget: true } })
    const entries = [...scene.inDoubt('ab'), ...scene.unbound('c')]
    scene.broker.recreateTopic('orders')
    await scene.resolve()
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries }])
    expect(scene.edges).toEqual({ E6: 9 })
    expect(scene.verdicts).toEqual({ resent: 2 })
  })

  it('E7: another cluster: fatal, nothing sent', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    scene.broker.setClusterId('another')
    await scene.resolve()
    expect(scene.produced).toBe(0)
    expect(scene.told.fatals.map(({ context }) => context.reason)).toEqual(['WAL_CLUSTER_MISMATCH'])
    expectHeld(scene, 'E7', 6)
    expect(scene.edges).toEqual({ E7: 6 })
  })

  it('E7: the cluster of the identity counts where the log names none', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    scene.wal.recovered = { ...scene.wal.recovered, clusterId: '' }
    scene.wal.identities.push({ producerId: PID, epoch: 0, clusterId: 'another' })
    await scene.resolve()
    expectHeld(scene, 'E7', 6)
  })

  it('E7: allowRetarget delivers at least once', async () => {
    const scene = await crash({ settings: { allowRetarget: true } })
    const entries = scene.inDoubt('ab')
    scene.broker.setClusterId('another')
    await scene.resolve()
    expect(scene.told.fatals).toEqual([])
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries }])
    expect(scene.edges).toEqual({ E7: 6 })
  })

  it('E7: a broker says so while batches go (104)', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    scene.broker.on({ api: 'Produce', nth: 1 }, fault.error(104))
    await scene.resolve()
    expect(scene.told.fatals.map(({ context }) => context.reason)).toEqual(['WAL_CLUSTER_MISMATCH'])
    expect(scene.told.openings).toEqual([])
  })

  it('E7: 45 twice although the batch is the next one: nobody knows why', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 2)
    scene.inDoubt('a', { from: 3 })
    scene.broker.on({ api: 'Produce', times: 2 }, fault.error(45))
    await scene.resolve()
    expect(scene.produced).toBe(2)
    expectHeld(scene, 'E7', 3)
  })
})

describe('E9: somebody else writes under an identity of ours', () => {
  it('the last sequence is inside one of our batches', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    expect(await writeAs(scene.broker, PID, 0, 0, 2)).toBe(0)
    await scene.resolve()
    expect(scene.told.fatals.map(({ context }) => context.reason)).toEqual(['IDENTITY_REUSED'])
    expectHeld(scene, 'E9', 6)
    expect(scene.edges).toEqual({ E9: 6 })
    expect(scene.outcomes(entries)).toEqual(['-', '-'])
  })

  it('an acknowledgement at an offset that was acknowledged before', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 40)
    const entries = scene.inDoubt('a', { from: 3 })
    expect(await writeAs(scene.broker, PID, 0, 3, 3)).toBe(0)
    await scene.resolve()
    expect(scene.told.fatals.map(({ context }) => context.reason)).toEqual(['IDENTITY_REUSED'])
    expectHeld(scene, 'E9', 3)
    expect(scene.outcomes(entries)).toEqual(['-'])
  })

  it('the same after the broker lost data: the header at that offset is ours, it is delivered, the loss is told', async () => {
    const scene = await crash()
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 40)
    const entries = scene.inDoubt('a', { from: 3 })
    await scene.resolve()
    expect(scene.told.fatals).toEqual([])
    expect(scene.outcomes(entries)).toEqual(['0@3'])
    expect(scene.told.losses).toEqual([{ ...PLACE, from: -1, to: 2 }])
  })

  it('a batch of another length stands under our numbers', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('a', { timestamp: scene.clock.now() - OLD_MS })
    expect(await writeAs(scene.broker, PID, 0, 0, 5)).toBe(0)
    scene.broker.forgetState(PLACE)
    scene.clock.jumpWallClock(30 * DAY_MS)
    entries[0] && Object.assign(entries[0], { maxTimestampMs: 1_699_999_000_000 })
    await scene.resolve()
    expectHeld(scene, 'E9', 3)
  })
})

describe('E10: power loss of the client in os or periodic', () => {
  it('something before the first batch is missing at the broker, and perhaps was never sent: ambiguous, no alarm', async () => {
    const scene = await crash({ previous: { mayHaveLostPower: true, durability: 'periodic' } })
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.inDoubt('ab', { from: 9 })
    await scene.resolve()
    expect(scene.told.losses).toEqual([])
    expectHeld(scene, 'E10', 6)
    expect(scene.edges).toEqual({ E10: 6 })
  })

  it.each([{ durability: 'immediate' }, { mayHaveLostPower: false, durability: 'os' }] as const)(
    "with %o the same is a loss of the broker's (E5)",
    async (previous) => {
      const scene = await crash({ previous: { mayHaveLostPower: true, ...previous } })
      expect(await scene.send(scene.bytes('w', {}))).toBe(0)
      scene.inDoubt('ab', { from: 9 })
      await scene.resolve()
      expect(scene.told.losses).toEqual([{ ...PLACE, from: 3, to: 8 }])
      expectHeld(scene, 'E5', 6)
    },
  )
})

describe('E10: the incarnation that wrote the entries is asked', () => {
  const previous = { mayHaveLostPower: false, durability: 'os' } as const

  it('power lost, opened, killed: what the first one wrote is still judged as after a power loss', async () => {
    const scene = await crash({ previous })
    Object.assign(scene.wal, { mayHaveLostPower: (incarnation: number) => incarnation === 1 })
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.inDoubt('ab', { from: 9 })
    await scene.resolve()
    expect(scene.told.losses).toEqual([])
    expectHeld(scene, 'E10', 6)
  })

  it('and what another one wrote is not', async () => {
    const scene = await crash({ previous: { ...previous, mayHaveLostPower: true } })
    Object.assign(scene.wal, { mayHaveLostPower: (incarnation: number) => incarnation !== 1 })
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.inDoubt('ab', { from: 9 })
    await scene.resolve()
    expect(scene.told.losses).toEqual([{ ...PLACE, from: 3, to: 8 }])
    expectHeld(scene, 'E5', 6)
  })
})

describe('E11: another writer raised the epoch', () => {
  it('what is in the log is delivered, the rest is ambiguous; nothing is sent', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    await scene.written(entries.slice(0, 2))
    expect(await writeAs(scene.broker, PID, 1, 0)).toBe(0)
    await scene.resolve()
    expect(scene.produced).toBe(0)
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3', '-'])
    expectHeld(scene, 'E11', 3)
    expect(scene.edges).toEqual({ E11: 9 })
  })

  it('47 while batches go', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    const first = scene.broker.on({ api: 'Produce', nth: 2 }, fault.error(47))
    await scene.resolve()
    expect(first.hits).toBe(1)
    expect(scene.outcomes(entries)).toEqual(['0@0', '-'])
    expectHeld(scene, 'E11', 3)
  })

  it('47 without READ: ambiguous', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    scene.broker.on({ api: 'DescribeProducers' }, fault.error(29))
    scene.broker.on({ api: 'Fetch' }, fault.error(29))
    scene.broker.on({ api: 'Produce', nth: 1 }, fault.error(47))
    await scene.resolve()
    expectHeld(scene, 'E11', 6)
  })
})

describe('E12: no READ permission', () => {
  const refuseReading = ({ broker }: Crash) => {
    broker.on({ api: 'DescribeProducers' }, fault.error(29))
    broker.on({ api: 'Fetch' }, fault.error(29))
  }

  it('every answer is a success: nothing was needed, nothing is counted', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    await scene.written(entries.slice(0, 2))
    refuseReading(scene)
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.edges).toEqual({})
    expect(scene.verdicts).toEqual({ duplicate: 2, delivered: 1 })
  })

  it('45 and a later success of the same identity: presumed, and proved', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcdefg')
    await scene.written(entries)
    refuseReading(scene)
    await scene.resolve()
    expect(scene.verdicts).toEqual({ proven: 2, duplicate: 5 })
    expect(scene.edges).toEqual({ E12: 6 })
  })

  it('45 on all: ambiguous', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    refuseReading(scene)
    scene.broker.on({ api: 'Produce' }, fault.error(45))
    await scene.resolve()
    expectHeld(scene, 'E12', 6)
  })

  it('the age test is strict: too old is ambiguous, nothing is sent', async () => {
    const scene = await crash()
    scene.inDoubt('ab', { timestamp: scene.clock.now() - OLD_MS })
    refuseReading(scene)
    await scene.resolve()
    expect(scene.produced).toBe(0)
    expectHeld(scene, 'E12', 6)
  })

  it('refused for good, and nobody tells of earlier attempts: ambiguous', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    refuseReading(scene)
    scene.broker.on({ api: 'Produce', nth: 1 }, fault.error(10))
    await scene.resolve()
    expectHeld(scene, 'E12', 6)
  })
})

describe('E13: brokers before 2.5 and strangers', () => {
  it('46 is a success without an offset', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    scene.broker.on({ api: 'Produce', nth: 1 }, fault.error(46))
    await scene.resolve()
    expect(scene.outcomes(entries).map((one) => one[0])).toEqual(['1', expect.anything()])
    expect(scene.edges.E13).toBe(3)
  })

  it('2.4, no question about producers: the answers suffice', async () => {
    const scene = await crash({ broker: { profile: '2.4' } })
    const entries = scene.inDoubt('abc')
    await scene.written(entries.slice(0, 2))
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.edges).toEqual({})
  })

  it('2.4, 59 because state is gone: found in the log, or sent under a fresh identity', async () => {
    const scene = await crash({ broker: { profile: '2.4' } })
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(2, 2)
    const entries = scene.inDoubt('abc', { from: 3 })
    await scene.written(entries.slice(0, 1))
    scene.broker.forgetState(PLACE)
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['1@3', '-', '-'])
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries.slice(1) }])
    expect(scene.edges).toEqual({ E13: 9 })
    expect(scene.verdicts).toEqual({ found: 1, requeued: 2 })
  })

  it('2.4, 45 on all: found in the log', async () => {
    const scene = await crash({ broker: { profile: '2.4' } })
    const entries = scene.inDoubt('ab')
    await scene.written(entries)
    for (const [index, name] of [...'cdefg'].entries()) {
      expect(await scene.send(scene.bytes(name, { baseSequence: 6 + index * 3 }))).toBe(0)
    }
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3'])
    expect(scene.edges).toEqual({ E13: 6 })
  })

  it('2.4, old records: the log is read before anything goes', async () => {
    const scene = await crash({ broker: { profile: '2.4' } })
    const entries = scene.inDoubt('ab', { timestamp: scene.clock.now() - OLD_MS })
    await scene.written(entries.slice(0, 1))
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
    expect(scene.produced).toBe(1)
    expect(scene.edges).toEqual({ E1: 6 })
  })
})

describe('ambiguous: what the owner wants', () => {
  const ambiguous = async (settings: object, previous = {}) => {
    const scene = await crash({ settings, previous })
    expect(await scene.send(scene.bytes('w', {}))).toBe(0)
    scene.acknowledged(8, 8)
    const entries = scene.inDoubt('ab', { from: 9 })
    return { scene, entries }
  }

  it('drop: settled as dropped, counted, and the stream goes on', async () => {
    const { scene, entries } = await ambiguous({ onAmbiguous: 'drop' })
    scene.inDoubt('c', { producerId: 9n, from: 0 })
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual([`${Outcome.dropped}@-1`, `${Outcome.dropped}@-1`])
    expect(await scene.logged()).toBe('wc')
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: [] }])
    expect(onlyEdge(scene)).toMatchObject({ case: 'E5', records: 6, status: 'possibly-persisted', action: 'dropped' })
    expect(scene.verdicts).toEqual({ dropped: 2, delivered: 1 })
  })

  it('resend: left for the lane, not before late copies have had their time; what follows keeps its order', async () => {
    const { scene, entries } = await ambiguous({ onAmbiguous: 'resend', zombieWaitMs: 5000 })
    const later = scene.inDoubt('cd', { producerId: 9n, from: 0 })
    await scene.written(later.slice(0, 1))
    const before = scene.clock.monotonicMs()
    await scene.resolve()
    expect(scene.clock.monotonicMs() - before).toBeGreaterThanOrEqual(5000)
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: [...entries, ...later.slice(1)] }])
    expect(scene.outcomes(later)).toEqual(['1@3', '-'])
    expect(onlyEdge(scene)).toMatchObject({ case: 'E5', records: 6, action: 'resent' })
    expect(scene.edges).toEqual({ E5: 6 })
  })

  it('4.2 item 5: a log last run as spill resends by nature', async () => {
    const { scene, entries } = await ambiguous({}, { durability: 'spill' })
    await scene.resolve()
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries }])
    expect(scene.told.holds).toEqual([])
  })

  it('hold, then resolve("drop")', async () => {
    const { scene, entries } = await ambiguous({})
    await scene.resolve()
    expectHeld(scene, 'E5', 6)
    await scene.resolution.resolve('orders', 0, 'drop')
    expect(scene.outcomes(entries)).toEqual([`${Outcome.dropped}@-1`, `${Outcome.dropped}@-1`])
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: [] }])
    expect(scene.resolution.heldStreams).toEqual([])
    expect(scene.verdicts).toEqual({ dropped: 2 })
    expect(scene.edges).toEqual({ E5: 6 }) // One occurrence, two events.
    expect(scene.told.edges.map(({ action }) => action)).toEqual(['held', 'dropped'])
  })

  it('hold, then resolve("resend"): what follows is resolved then', async () => {
    const { scene, entries } = await ambiguous({})
    const later = scene.inDoubt('c', { producerId: 9n, from: 0 })
    await scene.written(later)
    await scene.resolve()
    expect(scene.outcomes(later)).toEqual(['-'])
    await scene.resolution.resolve('orders', 0, 'resend')
    expect(scene.outcomes(later)).toEqual(['1@3'])
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries }])
  })

  it('resolve() of a stream that is not held is refused', async () => {
    const scene = await crash()
    await scene.resolve()
    await expect(scene.resolution.resolve('orders', 0, 'drop')).rejects.toMatchObject({ code: 'INVALID_PARTITION' })
  })

  it('E6 held, then resolve("resend"): retargeted', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    scene.broker.recreateTopic('orders')
    await scene.resolve()
    await scene.resolution.resolve('orders', 0, 'resend')
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries }])
  })
})
