/** Members of KIP-848 groups against the in-process broker: real sockets, real metadata, virtual time. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../lib/broker/index.js'
import { resolveConsumerConfig } from '../../../lib/config/index.js'
import { chooseProtocol } from '../../../lib/consumer/group/kip848/choose-protocol.js'
import { randomInt, seededRandom } from '../../../lib/util/index.js'
import { type GroupBench, groupBench, type MemberConfig, type Played } from './classic-support.js'

const CONSUMER = { groupProtocol: 'consumer' } as const
const PARTITIONS = 6

describe('members of KIP-848 groups', () => {
  const bench = groupBench()

  async function started(options: Parameters<GroupBench['start']>[0] = {}): Promise<GroupBench> {
    await bench().start(options)
    bench().broker.createTopic('t', { partitions: PARTITIONS })
    return bench()
  }

  function play(name: string, config: MemberConfig = {}, topics = ['t']): Played {
    return bench().play(name, { topics, config: { ...CONSUMER, ...config } })
  }

  const held = (players: readonly Played[]) => players.map(({ host }) => host.held.length)

  it('C-27, C-40: three share, one leaves, one comes; never two owners', async () => {
    const it = await started()
    const [a, b, c] = [play('a'), play('b'), play('c')]
    await it.until('two each', () => held([a, b, c]).join() === '2,2,2')
    await it.shared([a, b, c], PARTITIONS)
    expect(it.broker.group('g').state).toBe('Stable')
    await it.close(b)
    await it.shared([a, c], PARTITIONS)
    const d = play('d')
    await it.until('two each', () => held([a, c, d]).join() === '2,2,2')
    await it.shared([a, c, d], PARTITIONS)
    expect(it.ledger.conflicts).toEqual([])
    expect([a, c, d].map(({ host }) => host.lostBecause)).toEqual([null, null, null])
    const epochs = [a, c, d].map(({ member }) => member.identity?.generation)
    expect(new Set(epochs).size).toBe(1)
  })

  it('C-40: a killed member is out after its session, and the others take over', async () => {
    const it = await started()
    const [a, b] = [play('a'), play('b')]
    await it.until('three each', () => held([a, b]).join() === '3,3')
    await b.kill()
    const fromMs = it.clock.monotonicMs()
    await it.shared([a], PARTITIONS)
    expect(it.clock.monotonicMs() - fromMs).toBeGreaterThan(30_000)
    expect(it.ledger.conflicts).toEqual([])
  })

  it('C-30: a topic that grows, and one that is made after the join, are read', async () => {
    const it = await started()
    const [a, b] = [play('a', {}, ['t', 'u']), play('b', {}, ['t', 'u'])]
    await it.shared([a, b], PARTITIONS)
    it.broker.addPartitions('t', 8)
    await it.shared([a, b], 8)
    it.broker.createTopic('u', { partitions: 3 })
    await it.shared([a, b], 11)
    expect(it.ledger.conflicts).toEqual([])
  })

  it('C-29: a member that the broker puts out loses its partitions and joins again under the same id', async () => {
    const it = await started()
    const [a, b] = [play('a'), play('b')]
    await it.until('three each', () => held([a, b]).join() === '3,3')
    const memberId = b.member.identity?.memberId as string
    it.broker.fence('g', memberId)
    await it.until('b has noticed', () => b.host.lostBecause !== null)
    expect(b.host.lostBecause?.code).toBe('UNKNOWN_MEMBER_ID')
    await it.until('three each', () => held([a, b]).join() === '3,3')
    await it.shared([a, b], PARTITIONS)
    expect(b.member.identity?.memberId).toBe(memberId)
  })

  it('C-28: a revocation slower than the rebalance time is fenced; all is lost, and nobody else read it before', async () => {
    const it = await started()
    const a = play('a', { rebalanceTimeoutMs: 5_000 })
    await it.shared([a], PARTITIONS)
    a.host.beforeRevoked = () => it.pass(20_000) // Longer than it may.
    const b = play('b')
    await it.until('a has lost all', () => a.host.lostBecause !== null)
    expect(a.member.identity).toBeNull()
    a.host.beforeRevoked = null
    await it.until('three each', () => held([a, b]).join() === '3,3', 200_000)
    await it.shared([a, b], PARTITIONS)
    expect(it.ledger.conflicts).toEqual([])
  })

  it('C-16: heartbeats go on while a revocation takes its time within the limit', async () => {
    const it = await started()
    const a = play('a', { rebalanceTimeoutMs: 60_000 })
    await it.shared([a], PARTITIONS)
    a.host.beforeRevoked = () => it.pass(50_000) // Longer than the session of the broker.
    const b = play('b')
    await it.until('three each', () => held([a, b]).join() === '3,3')
    expect(a.host.lostBecause).toBeNull()
    expect(it.ledger.conflicts).toEqual([])
  })

  it.each(['before', 'after'].flatMap((when) => [1, 2, 3, 4, 5, 6, 7, 8].map((nth) => [nth, when] as const)))(
    'C-27: the connection breaks at heartbeat %i, %s it was worked through',
    async (nth, when) => {
      const it = await started()
      it.broker.on({ api: 'ConsumerGroupHeartbeat', nth }, fault.drop(when as 'before' | 'after'))
      const [a, b] = [play('a'), play('b')]
      await it.until('three each', () => held([a, b]).join() === '3,3')
      await it.shared([a, b], PARTITIONS)
      expect(it.ledger.conflicts).toEqual([])
      expect([a, b].map(({ host }) => host.lostBecause)).toEqual([null, null])
    },
  )

  it('C-34: the coordinator moves: heartbeats follow, and nobody loses anything', async () => {
    const it = await started({ nodes: 2 })
    const [a, b] = [play('a'), play('b')]
    await it.until('three each', () => held([a, b]).join() === '3,3')
    await it.shared([a, b], PARTITIONS)
    const former = await a.cluster.coordinator('g')
    it.broker.moveCoordinator('g')
    await it.pass(15_000)
    await it.shared([a, b], PARTITIONS)
    expect(await a.cluster.coordinator('g')).not.toBe(former)
    expect([a, b].map(({ host }) => host.lostBecause)).toEqual([null, null])
  })

  it('C-25: a static member restarts within the session and finds its partitions; nobody else notices', async () => {
    const it = await started()
    const [a, b] = [play('a', { groupInstanceId: 'a' }), play('b', { groupInstanceId: 'b' })]
    await it.until('three each', () => held([a, b]).join() === '3,3')
    await it.shared([a, b], PARTITIONS)
    const before = b.host.held
    const told = a.host.story.length
    await it.close(b)
    const again = play('b again', { groupInstanceId: 'b' })
    await it.shared([a, again], PARTITIONS)
    expect([again.host.held, a.host.story.length]).toEqual([before, told])
    const second = play('second b', { groupInstanceId: 'b' })
    await it.until('the second is refused', () => second.host.error !== null)
    expect(second.host.error?.context.kafkaCode).toBe(111)
    expect(again.host.lostBecause).toBeNull()
  })

  it('a static member whose join was answered into nowhere joins all the same', async () => {
    const it = await started()
    it.broker.on({ api: 'ConsumerGroupHeartbeat', nth: 1 }, fault.drop('after'))
    const a = play('a', { groupInstanceId: 'a' })
    await it.shared([a], PARTITIONS)
    expect(a.host.error).toBeNull()
  })

  it('CO-6: a topic that is given up goes to others, and comes back when it is subscribed again', async () => {
    const it = await started()
    it.broker.createTopic('u', { partitions: 2 })
    const a = play('a', {}, ['t', 'u'])
    await it.shared([a], PARTITIONS + 2)
    a.host.wanted = ['t']
    a.member.topicsChanged()
    await it.shared([a], PARTITIONS)
    const b = play('b', {}, ['u'])
    await it.shared([a, b], PARTITIONS + 2)
    a.host.wanted = ['t', 'u']
    a.member.topicsChanged()
    await it.close(b)
    await it.shared([a], PARTITIONS + 2)
    expect(it.ledger.conflicts).toEqual([])
  })

  it('CO-10: an older cluster is refused under consumer, and auto takes what is there', async () => {
    const it = await started({ profile: '3.9' })
    const a = play('a')
    await it.until('refused', () => a.host.error !== null)
    expect(a.host.error).toMatchObject({ code: 'CONNECTION_FAILED', retryable: false })
    expect(a.host.error?.context.reason).toBe('UNSUPPORTED_VERSION')
    const config = resolveConsumerConfig({ groupId: 'g', groupProtocol: 'auto', brokers: it.broker.bootstrap })
    expect(await chooseProtocol(a.cluster, config)).toBe('classic')
  })

  it('CO-10: auto chooses KIP-848 where it is', async () => {
    const it = await started()
    const a = play('a')
    await it.shared([a], PARTITIONS)
    const config = resolveConsumerConfig({ groupId: 'g', groupProtocol: 'auto', brokers: it.broker.bootstrap })
    expect(await chooseProtocol(a.cluster, config)).toBe('consumer')
  })

  it('K-23, CO-17: closing leaves the group at once, also in the middle of a rebalance', async () => {
    const it = await started()
    const a = play('a')
    await it.shared([a], PARTITIONS)
    a.host.beforeRevoked = () => it.pass(3_000)
    const b = play('b')
    await it.until('a gives back', () => a.host.story.some((line) => line.startsWith('revoke')))
    a.host.beforeRevoked = null
    const fromMs = it.clock.monotonicMs()
    await it.close(a)
    expect(it.clock.monotonicMs() - fromMs).toBeLessThan(1_000)
    await it.shared([b], PARTITIONS)
    expect(it.broker.group('g').members).toHaveLength(1)
  })

  it.each([1, 2, 3])(
    'C-40: ten members are restarted, closed, killed and put out at random (seed %i); never two owners',
    async (seed) => {
      const random = seededRandom(seed)
      const it = await started({ nodes: 2 })
      const players: Played[] = []
      let count = 0
      for (let step = 0; step < 40; step++) {
        if (players.length < 10) players.push(play(`m${count++}`, { rebalanceTimeoutMs: 10_000 }))
        const dice = randomInt(random, 10)
        const index = randomInt(random, players.length)
        const one = players[index] as Played
        one.host.beforeRevoked = dice < 3 ? () => it.pass(randomInt(random, 3_000)) : null
        if (dice >= 6 && players.length > 4) {
          players.splice(index, 1)
          await (dice < 9 ? it.close(one) : one.kill())
        }
        if (dice === 5) it.broker.moveCoordinator('g')
        await it.pass(randomInt(random, 4_000))
      }
      for (const { host } of players) host.beforeRevoked = null
      await it.shared(players, PARTITIONS, 300_000)
      expect(it.ledger.conflicts).toEqual([])
      expect(players.map(({ host }) => host.error)).toEqual(players.map(() => null))
    },
  )
})
