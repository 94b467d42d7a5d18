/** Committed offsets read back from a scripted coordinator: forms by version, errors of one partition and of the group. */
import { describe, expect, it } from 'vitest'
import type { CommittedOffset } from '../../../lib/consumer/group/offsets/offsets.js'
import { MQError } from '../../../lib/errors/index.js'
import { at, Fate, type HeldRequest, lost, ScriptedCoordinator } from './scripted-coordinator.js'

const LATER_MS = 10_000

type Row = { offset: number; leaderEpoch?: number; metadata?: string | null; errorCode?: number }

/** Answers with these rows of topic 't', in the form of the request's version. */
function reply(request: HeldRequest, rows: Record<number, Row>, errorCode = 0): void {
  const partitions = Object.entries(rows).map(([partition, { offset, leaderEpoch = -1, metadata = '', ...row }]) => ({
    partitionIndex: Number(partition),
    committedOffset: offset,
    committedLeaderEpoch: leaderEpoch,
    metadata,
    errorCode: row.errorCode ?? 0,
  }))
  const topics = errorCode === 0 ? [{ name: 't', partitions }] : []
  if (request.version >= 8) request.reply({ groups: [{ groupId: 'g', topics, errorCode }] })
  else request.reply({ topics, errorCode })
}

function stage(config: Parameters<ScriptedCoordinator['committer']>[0] = {}) {
  const cluster = new ScriptedCoordinator()
  const committer = cluster.committer(config)
  let found: readonly (CommittedOffset | MQError | null)[] = []
  const read = (partitions: number[], deadlineMs = LATER_MS) => {
    const asked = partitions.map((partition) => ({ topic: 't', partition }))
    return new Fate(
      committer.committed(asked, cluster.clock.monotonicMs() + deadlineMs).then((offsets) => {
        found = offsets
      }),
    )
  }
  return { cluster, read, member: cluster.member as NonNullable<typeof cluster.member>, found: () => found }
}

describe('committed', () => {
  it.each([5, 6, 7, 8, 9])(
    'C-33: version %i brings offset, leader epoch and metadata back, null where there is none',
    async (version) => {
      const { cluster, read, found } = stage()
      cluster.version = version
      const fate = read([2, 0, 1])
      await cluster.turn()
      const topics = [{ name: 't', partitionIndexes: [2, 0, 1] }]
      expect(cluster.last.body).toMatchObject(version >= 8 ? { groups: [{ groupId: 'g', topics }] } : { topics })
      reply(cluster.last, {
        0: { offset: 5, leaderEpoch: 2, metadata: 'note' },
        1: { offset: -1 },
        2: { offset: 0, metadata: null },
      })
      await cluster.turn()
      expect(fate.text).toBe('stored')
      expect(found()).toEqual([
        { offset: 0, leaderEpoch: -1, metadata: '' },
        { offset: 5, leaderEpoch: 2, metadata: 'note' },
        null,
      ])
      expect(cluster.clock.pendingTimers).toBe(0)
    },
  )

  it.each([
    ['read_committed', 7, true],
    ['read_committed', 9, true],
    ['read_uncommitted', 9, false],
    ['read_committed', 5, false],
  ] as const)('C-35: %s asks version %i for stable offsets only: %s', async (isolationLevel, version, stable) => {
    const { cluster, read } = stage({ isolationLevel })
    cluster.version = version
    read([0])
    await cluster.turn()
    expect(cluster.last.body.requireStable).toBe(stable)
  })

  it('C-35: 88 is asked again until the transaction ended, and only for what is still open', async () => {
    const { cluster, read, found } = stage({ isolationLevel: 'read_committed' })
    const fate = read([0, 1])
    await cluster.turn()
    reply(cluster.last, { 0: { offset: 4 }, 1: { offset: -1, errorCode: 88 } })
    await cluster.turn()
    expect([fate.text, cluster.held.length]).toEqual(['open', 1])
    await cluster.advance(100)
    expect(cluster.last.body.groups?.[0]?.topics).toMatchObject([{ partitionIndexes: [1] }])
    reply(cluster.last, { 1: { offset: 8 } })
    await cluster.turn()
    expect(found().map((one) => (one as CommittedOffset).offset)).toEqual([4, 8])
  })

  it('C-41: a denied or unknown partition is an error in its place, and harms no other', async () => {
    const { cluster, read, found } = stage()
    read([0, 1, 2])
    await cluster.turn()
    reply(cluster.last, { 0: { offset: -1, errorCode: 29 }, 1: { offset: 7 }, 2: { offset: -1, errorCode: 3 } })
    await cluster.turn()
    const [denied, fine, unknown] = found()
    expect(denied).toMatchObject({
      code: 'AUTHORIZATION_FAILED',
      context: { topic: 't', partition: 0, resource: 'topic t' },
    })
    expect(fine).toMatchObject({ offset: 7 })
    expect(unknown).toMatchObject({ code: 'TOPIC_NOT_FOUND', context: { partition: 2 } })
    expect(denied).toBeInstanceOf(MQError)
  })

  it.each([
    [14, []],
    [15, [1]],
    [16, [1]],
    [-1, []],
  ])('C-34: %i of the group is asked again, coordinators forgotten: %j', async (code, forgotten) => {
    const { cluster, read } = stage()
    const fate = read([0])
    await cluster.turn()
    reply(cluster.last, {}, code)
    await cluster.advance(100)
    expect(cluster.forgotten).toEqual(forgotten)
    reply(cluster.last, { 0: { offset: 1 } })
    await cluster.turn()
    expect([fate.text, cluster.held.length]).toEqual(['stored', 2])
  })

  it.each([
    [30, 'AUTHORIZATION_FAILED', []],
    [25, 'UNKNOWN_MEMBER_ID', [25]],
    [22, 'ILLEGAL_GENERATION', [22]],
    [110, 'ILLEGAL_GENERATION', [110]],
    [69, 'CONSUME_FAILED', [25]],
    [24, 'INVALID_CONFIG', []],
  ])('C-29: %i of the group rejects with %s, the member is told %j', async (code, mqCode, told) => {
    const { cluster, read, member } = stage()
    const fate = read([0])
    await cluster.turn()
    reply(cluster.last, {}, code)
    await cluster.advance(LATER_MS)
    expect([fate.text, fate.error?.retryable, member.refusals]).toEqual([mqCode, false, told])
    expect(cluster.held).toHaveLength(1)
  })

  it('C-29: a member under KIP-848 asks in its own name; 113 brings the present epoch first', async () => {
    const { cluster, read, member } = stage({ groupProtocol: 'consumer' })
    member.onRefresh = async () => member.generation(4)
    const fate = read([0])
    await cluster.turn()
    expect(cluster.last.body.groups?.[0]).toMatchObject({ memberId: 'm', memberEpoch: 3 })
    reply(cluster.last, {}, 113)
    await cluster.advance(100)
    expect(cluster.last.body.groups?.[0]).toMatchObject({ memberId: 'm', memberEpoch: 4 })
    reply(cluster.last, { 0: { offset: 1 } })
    await cluster.turn()
    expect([fate.text, member.refreshes]).toEqual(['stored', 1])
  })

  it.each([
    ['classic', true],
    ['consumer', false],
  ] as const)('CO-8: %s, member %s: reading needs no name otherwise', async (groupProtocol, isMember) => {
    const { cluster, read } = stage({ groupProtocol })
    if (!isMember) cluster.member = null
    read([0])
    await cluster.turn()
    expect(cluster.last.body.groups?.[0]).toMatchObject({ memberId: null, memberEpoch: -1 })
  })

  it('CO-8: the deadline rejects with what has kept us', async () => {
    const { cluster, read } = stage()
    const fate = read([0], 1_000)
    for (let step = 0; step < 12; step++) {
      await cluster.turn()
      if (!cluster.last.isAnswered) reply(cluster.last, {}, 14)
      await cluster.advance(100)
    }
    expect(fate.text).toBe('TIMEOUT')
    expect(fate.error?.message).toMatch(/COORDINATOR_LOAD_IN_PROGRESS/)
    expect(cluster.clock.pendingTimers).toBe(0)
  })

  it('C-34: a lost connection is asked again; what no retry mends rejects', async () => {
    const { cluster, read } = stage()
    const fate = read([0])
    await cluster.turn()
    cluster.last.fail(lost(true))
    await cluster.advance(100)
    expect(cluster.held).toHaveLength(2)
    cluster.last.fail(lost(false))
    await cluster.turn()
    expect(fate.text).toBe('CONNECTION_FAILED')
  })

  it('CO-8: nothing asked, nothing answered', async () => {
    const { cluster, read } = stage()
    const fate = read([])
    await cluster.turn()
    expect([fate.text, cluster.held.length, at(0, 1).topic]).toEqual(['stored', 0, 't'])
  })
})
