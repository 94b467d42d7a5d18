/** Many members that come and go: at no instant two owners, and in the end everything is somebody's. */
import { describe, expect, it } from 'vitest'
import type { AssignorName } from '../../../lib/config/index.js'
import { seededRandom } from '../../../lib/util/index.js'
import { type GroupBench, groupBench, type Played } from './classic-support.js'

const bench = groupBench()
const PARTITIONS = 24

function configOf(assignor: AssignorName, name: string, isStatic: boolean) {
  const base = { assignors: [assignor], sessionTimeoutMs: 3_000, heartbeatIntervalMs: 500, rebalanceTimeoutMs: 20_000 }
  return isStatic ? { ...base, groupInstanceId: name } : base
}

/** Giving back takes a while, as with callbacks and commits. */
function slowly(b: GroupBench, played: Played, seed: number): Played {
  const random = seededRandom(seed)
  played.host.beforeRevoked = () => {
    return new Promise((resolve) => void b.clock.setTimer(resolve, Math.round(random.next() * 400)))
  }
  return played
}

describe('storms', () => {
  it.each([
    ['range', false],
    ['cooperative-sticky', false],
    ['cooperative-sticky', true],
  ] as const)(
    'C-40: ten members under %s (static: %s), each restarted twice: never two owners',
    async (assignor, isStatic) => {
      const b = bench()
      const broker = await b.start({ nodes: 2 })
      broker.createTopic('t', { partitions: PARTITIONS })
      const names = Array.from({ length: 10 }, (_, index) => `m${index}`)
      let seed = 1
      const play = (name: string) => slowly(b, b.play(name, { config: configOf(assignor, name, isStatic) }), seed++)
      const members = new Map(names.map((name) => [name, play(name)]))
      await b.shared([...members.values()], PARTITIONS)
      for (const name of [...names, ...names]) {
        await b.close(members.get(name) as Played)
        await b.pass(150)
        members.set(name, play(name))
        await b.pass(100)
      }
      await b.shared([...members.values()], PARTITIONS)
      const held = [...members.values()].map(({ host }) => host.held.length)
      expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1)
      expect([...members.values()].map(({ host }) => host.error)).toEqual(names.map(() => null))
      expect(b.ledger.conflicts).toEqual([])
    },
  )

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'C-24: everything that can happen to a cooperative group, in an order drawn by %s',
    async (seed) => {
      const b = bench()
      const broker = await b.start({ nodes: 3 })
      broker.createTopic('t', { partitions: 6 })
      const random = seededRandom(seed)
      const pick = (count: number) => Math.floor(random.next() * count)
      const players: Played[] = []
      let partitions = 6
      const steps = [
        () =>
          void players.push(
            slowly(
              b,
              b.play(`p${players.length}-${pick(1e6)}`, { config: configOf('cooperative-sticky', '', false) }),
              pick(1e6),
            ),
          ),
        () => broker.disconnect(),
        () => void broker.moveCoordinator('g'),
        () => void (broker.group('g').state === 'Dead' || broker.rebalance('g')),
        () => void broker.addPartitions('t', ++partitions),
        async () => {
          if (players.length > 1) await b.close(players.splice(pick(players.length), 1)[0] as Played)
        },
      ]
      for (let step = 0; step < 40; step++) {
        if (players.length < 2) await steps[0]?.()
        await steps[pick(steps.length)]?.()
        await b.pass(pick(1_200))
      }
      await b.shared(players, partitions)
      expect(b.ledger.conflicts, `seed ${seed}\n${b.story()}`).toEqual([])
    },
  )
})
