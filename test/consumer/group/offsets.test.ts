/** Commits against a coordinator that answers when and how the test likes: the whole table of errors, and their orders. */
import { describe, expect, it } from 'vitest'
import { at, Fate, lost, ScriptedCoordinator } from './scripted-coordinator.js'

const LATER_MS = 10_000

/** A coordinator, a committer, and commits as fates. */
function stage(config: Parameters<ScriptedCoordinator['committer']>[0] = {}) {
  const cluster = new ScriptedCoordinator()
  const committer = cluster.committer(config)
  const commit = (offsets: ReturnType<typeof at>[], deadlineMs = cluster.clock.monotonicMs() + LATER_MS) =>
    new Fate(committer.commit(offsets, deadlineMs))
  return { cluster, committer, commit, member: cluster.member as NonNullable<typeof cluster.member> }
}

describe('Committer', () => {
  it('CO-9, C-33: sends offset, leader epoch and metadata in the name of the member, and resolves when they are stored', async () => {
    const { cluster, commit, member } = stage()
    member.identity = { memberId: 'm', generation: 7, instanceId: 'i' }
    const fate = commit([at(0, 5, { leaderEpoch: 2, metadata: 'note' }), at(1, 9)])
    await cluster.turn()
    expect(cluster.last.body).toMatchObject({
      groupId: 'g',
      memberId: 'm',
      generationIdOrMemberEpoch: 7,
      groupInstanceId: 'i',
      topics: [
        {
          name: 't',
          partitions: [
            { partitionIndex: 0, committedOffset: 5, committedLeaderEpoch: 2, committedMetadata: 'note' },
            { partitionIndex: 1, committedOffset: 9, committedLeaderEpoch: -1, committedMetadata: '' },
          ],
        },
      ],
    })
    expect(fate.text).toBe('open')
    cluster.last.answer()
    await cluster.turn()
    expect(fate.text).toBe('stored')
    expect(cluster.clock.pendingTimers).toBe(0)
  })

  it.each([6, 7, 8, 9])('W-3: version %i carries what it can', async (version) => {
    const { cluster, commit } = stage()
    cluster.version = version
    const fate = commit([at(0, 5, { leaderEpoch: 4 })])
    await cluster.turn()
    expect(cluster.last.body.topics?.[0]?.partitions[0]).toMatchObject({ committedOffset: 5, committedLeaderEpoch: 4 })
    cluster.last.answer()
    await cluster.turn()
    expect(fate.text).toBe('stored')
  })

  it('C-31: one commit is outstanding; what comes meanwhile goes out together, only the newest value of each partition', async () => {
    const { cluster, commit } = stage()
    const fates = [commit([at(0, 1)]), commit([at(0, 2), at(1, 20)]), commit([at(0, 3)]), commit([at(2, 30)])]
    await cluster.turn()
    expect(cluster.held.map(({ values }) => values)).toEqual([['t/0=1']])
    cluster.last.answer()
    await cluster.turn()
    expect(fates.map(({ text }) => text)).toEqual(['stored', 'open', 'open', 'open'])
    expect(cluster.last.values).toEqual(['t/0=3', 't/1=20', 't/2=30'])
    cluster.last.answer()
    await cluster.turn()
    expect(fates.map(({ text }) => text)).toEqual(['stored', 'stored', 'stored', 'stored'])
    expect(cluster.held).toHaveLength(2)
  })

  it('C-31: a retry never overwrites a newer value, and whoever waited for the older is served by the newer', async () => {
    const { cluster, commit } = stage()
    const older = commit([at(0, 1), at(1, 10)])
    await cluster.turn()
    const newer = commit([at(0, 2)])
    cluster.last.refuse(14)
    await cluster.advance(100)
    expect(cluster.last.values.sort()).toEqual(['t/0=2', 't/1=10'])
    cluster.last.answer()
    await cluster.turn()
    expect([older.text, newer.text]).toEqual(['stored', 'stored'])
  })

  it('CO-9: a caller may go back by himself', async () => {
    const { cluster, commit } = stage()
    commit([at(0, 100)])
    await cluster.turn()
    const back = commit([at(0, 50)])
    cluster.last.answer()
    await cluster.turn()
    expect(cluster.last.values).toEqual(['t/0=50'])
    cluster.last.answer()
    await cluster.turn()
    expect(back.text).toBe('stored')
  })

  it('CO-9: two values for one partition in one call: the later counts', async () => {
    const { cluster, commit } = stage()
    const fate = commit([at(0, 4), at(0, 6)])
    await cluster.turn()
    expect(cluster.last.values).toEqual(['t/0=6'])
    cluster.last.answer()
    await cluster.turn()
    expect([fate.text, fate.settlements]).toEqual(['stored', 1])
  })

  it('CO-9: each caller learns of its own partitions only', async () => {
    const { cluster, commit } = stage()
    commit([at(2, 1)])
    await cluster.turn()
    const one = commit([at(0, 5), at(1, 6)])
    const other = commit([at(2, 7)])
    cluster.last.answer()
    await cluster.turn()
    cluster.last.answer({ 't/1': 3 })
    await cluster.turn()
    expect(other.text).toBe('stored')
    expect(one.text).toBe('OFFSET_COMMIT_FAILED')
    expect(one.error?.context).toMatchObject({
      topic: 't',
      partition: 1,
      partitions: [{ topic: 't', partition: 1, offset: 6, code: 'TOPIC_NOT_FOUND', kafkaCode: 3 }],
    })
    expect(one.error?.retryable).toBe(false)
  })

  it.each([
    [3, 'TOPIC_NOT_FOUND', /t\/0 does not exist any more/],
    [12, 'OFFSET_COMMIT_FAILED', /metadata of t\/0 has 6 B, more than offset\.metadata\.max\.bytes/],
    [28, 'OFFSET_COMMIT_FAILED', /INVALID_COMMIT_OFFSET_SIZE/],
    [29, 'AUTHORIZATION_FAILED', /TOPIC_AUTHORIZATION_FAILED/],
    [30, 'AUTHORIZATION_FAILED', /GROUP_AUTHORIZATION_FAILED/],
    [42, 'OFFSET_COMMIT_FAILED', /INVALID_REQUEST/],
    [999, 'OFFSET_COMMIT_FAILED', /UNKNOWN_999/],
  ])('CO-9: %i is final for its partition: %s', async (code, mqCode, text) => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5, { metadata: 'ä€ ' }), at(1, 6)])
    await cluster.turn()
    cluster.last.answer({ 't/0': code })
    await cluster.advance(LATER_MS)
    expect(fate.text).toBe('OFFSET_COMMIT_FAILED')
    expect(fate.cause.code).toBe(mqCode)
    expect(fate.error?.message).toMatch(text)
    expect(fate.error?.message).toMatch(/t\/0/)
    expect(fate.error?.message).not.toMatch(/t\/1/)
    expect(fate.error?.retryable).toBe(fate.cause.retryable)
    expect(member.refusals).toEqual([])
    expect(cluster.held).toHaveLength(1)
  })

  it.each([
    [29, 'topic t'],
    [30, 'group g'],
  ])('CO-9: %i names what is denied: %s', async (code, resource) => {
    const { cluster, commit } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(code)
    await cluster.turn()
    expect(fate.cause.context).toMatchObject({ resource, operation: 'READ', kafkaCode: code })
  })

  it.each([
    [-1, []],
    [14, []],
    [89, []],
    [7, [1]],
    [15, [1]],
    [16, [1]],
  ])('C-34: %i is repeated after a back-off, coordinators forgotten: %j', async (code, forgotten) => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(code)
    await cluster.turn()
    expect(cluster.forgotten).toEqual(forgotten)
    expect(cluster.held).toHaveLength(1) // not before the pause is over
    cluster.brokerId = 2
    await cluster.advance(100)
    expect(cluster.held.map(({ values }) => values)).toEqual([['t/0=5'], ['t/0=5']])
    cluster.last.answer()
    await cluster.turn()
    expect([fate.text, member.refusals]).toEqual(['stored', []])
  })

  it('CO-9: a partition without an answer is asked for again', async () => {
    const { cluster, commit } = stage()
    const fate = commit([at(0, 5), at(1, 6)])
    await cluster.turn()
    cluster.last.answer({}, ['t/1'])
    await cluster.advance(100)
    expect(cluster.last.values).toEqual(['t/1=6'])
    cluster.last.answer()
    await cluster.turn()
    expect(fate.text).toBe('stored')
  })

  it.each([
    [25, 'UNKNOWN_MEMBER_ID', 25],
    [69, 'OFFSET_COMMIT_FAILED', 25],
    [82, 'UNKNOWN_MEMBER_ID', 82],
    [110, 'ILLEGAL_GENERATION', 110],
  ])('C-28, C-29: %i fails with %s and tells the member %i, once', async (code, mqCode, told) => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5), at(1, 6)])
    await cluster.turn()
    cluster.last.refuse(code)
    await cluster.advance(LATER_MS)
    expect(fate.text).toBe('OFFSET_COMMIT_FAILED')
    expect(fate.cause.code).toBe(mqCode)
    expect(fate.error?.context).toMatchObject({ partitions: [{ partition: 0 }, { partition: 1 }] })
    expect(member.refusals).toEqual([told])
    expect(cluster.held).toHaveLength(1)
  })

  it('C-32: 22 before the member knows of the next generation: told, and repeated under that one if still owned', async () => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(22)
    await cluster.turn()
    expect(member.refusals).toEqual([22])
    member.generation(9)
    await cluster.advance(100)
    expect([cluster.last.who, ...cluster.last.values]).toEqual(['m@9', 't/0=5'])
    cluster.last.answer()
    await cluster.turn()
    expect(fate.text).toBe('stored')
  })

  it('C-28: 22 to the end of its time fails, and the member was told', async () => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    for (let ms = 0; ms < LATER_MS; ms += 100) {
      if (cluster.outstanding > 0) cluster.last.refuse(22)
      await cluster.advance(100)
    }
    expect([fate.text, fate.cause.code]).toEqual(['OFFSET_COMMIT_FAILED', 'TIMEOUT'])
    expect(member.refusals.length).toBeGreaterThan(0)
  })

  it('C-32: 27 is repeated within the generation', async () => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(27)
    await cluster.advance(100)
    expect(member.refusals).toEqual([27])
    expect(cluster.last.values).toEqual(['t/0=5'])
    cluster.last.answer()
    await cluster.turn()
    expect([fate.text, cluster.held.length]).toEqual(['stored', 2])
  })

  it('C-32: 27 is given up once the generation is over, although the partition stayed; newer values go on', async () => {
    const { cluster, commit, member } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(27)
    await cluster.turn()
    member.generation(4)
    const next = commit([at(1, 8)])
    await cluster.advance(100)
    expect(fate.text).toBe('OFFSET_COMMIT_FAILED')
    expect(fate.cause.code).toBe('REBALANCE_IN_PROGRESS')
    expect(fate.error?.retryable).toBe(true)
    expect(cluster.held.map(({ values, who }) => [who, ...values])).toEqual([
      ['m@3', 't/0=5'],
      ['m@4', 't/1=8'],
    ])
    cluster.last.answer()
    await cluster.turn()
    expect(next.text).toBe('stored')
  })

  it('C-32: 27 until the deadline is a time-out, with its reason', async () => {
    const { cluster, commit } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    for (let ms = 0; ms < LATER_MS; ms += 100) {
      if (cluster.outstanding > 0) cluster.last.refuse(27)
      await cluster.advance(100)
    }
    expect(fate.text).toBe('OFFSET_COMMIT_FAILED')
    expect(fate.cause.code).toBe('TIMEOUT')
    expect((fate.cause.cause as Error).message).toMatch(/REBALANCE_IN_PROGRESS/)
    expect(fate.error?.retryable).toBe(true)
  })

  it('C-31: a value that waited through a rebalance goes on under the new generation if its partition stayed ours', async () => {
    const { cluster, commit, member } = stage()
    commit([at(0, 1)])
    await cluster.turn()
    const kept = commit([at(1, 2)])
    const gone = commit([at(2, 3)])
    member.generation(4)
    cluster.owned.delete('t/2')
    cluster.last.answer()
    await cluster.turn()
    expect([cluster.last.who, ...cluster.last.values]).toEqual(['m@4', 't/1=2'])
    expect(gone.cause.code).toBe('REBALANCE_IN_PROGRESS')
    cluster.last.answer()
    await cluster.turn()
    expect(kept.text).toBe('stored')
  })

  it('C-29: 113 is repeated with the new epoch, for what is still owned', async () => {
    const { cluster, commit, member } = stage({ groupProtocol: 'consumer' })
    member.onRefresh = async () => {
      member.generation(9)
      cluster.owned.delete('t/1')
    }
    const kept = commit([at(0, 5)])
    await cluster.turn()
    const gone = commit([at(1, 6)])
    cluster.last.refuse(113)
    await cluster.advance(100)
    expect(member.refreshes).toBe(1)
    expect([cluster.last.who, ...cluster.last.values]).toEqual(['m@9', 't/0=5'])
    cluster.last.answer()
    await cluster.turn()
    expect([kept.text, gone.text, member.refusals]).toEqual(['stored', 'OFFSET_COMMIT_FAILED', []])
  })

  it('C-29: 22 is 113 under KIP-848', async () => {
    const { cluster, commit, member } = stage({ groupProtocol: 'consumer' })
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(22)
    await cluster.advance(100)
    cluster.last.answer()
    await cluster.turn()
    expect([fate.text, member.refreshes, member.refusals]).toEqual(['stored', 1, []])
  })

  it('C-29: 113 without a newer epoch fails, with its reason', async () => {
    const { cluster, commit, member } = stage({ groupProtocol: 'consumer' })
    member.onRefresh = () => Promise.reject(lost(true))
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.refuse(113)
    await cluster.advance(100)
    expect(fate.cause.code).toBe('CONNECTION_FAILED')
  })

  it('C-28: without identity nothing is sent: it fails at once', async () => {
    const { cluster, commit, member } = stage()
    member.identity = null
    member.state = 'fenced'
    const fate = commit([at(0, 5)])
    await cluster.turn()
    expect(fate.text).toBe('OFFSET_COMMIT_FAILED')
    expect(fate.error?.message).toMatch(/not a member of group g just now \(fenced\)/)
    expect(fate.error?.retryable).toBe(true)
    expect(cluster.held).toEqual([])
    member.state = 'fatal'
    const never = commit([at(0, 5)])
    await cluster.turn()
    expect(never.error?.retryable).toBe(false)
  })

  it('C-28: what waits when the membership is lost is not sent', async () => {
    const { cluster, commit, member } = stage()
    const first = commit([at(0, 1)])
    await cluster.turn()
    const second = commit([at(1, 2)])
    member.identity = null
    cluster.last.refuse(14)
    await cluster.advance(100)
    expect(cluster.held).toHaveLength(1)
    expect([first.cause.code, second.cause.code]).toEqual(['REBALANCE_IN_PROGRESS', 'REBALANCE_IN_PROGRESS'])
  })

  it('C-28: what is forgotten is given up; what is on its way may still arrive', async () => {
    const { cluster, committer, commit } = stage()
    const [stored, failed] = [commit([at(0, 1)]), commit([at(1, 2)])]
    await cluster.turn()
    committer.forget([at(0, 0), at(1, 0)])
    await cluster.turn()
    expect([stored.text, failed.text]).toEqual(['open', 'OFFSET_COMMIT_FAILED'])
    cluster.last.answer()
    await cluster.turn()
    const again = commit([at(0, 3)])
    await cluster.turn()
    committer.forget([at(0, 0)])
    cluster.last.refuse(14)
    await cluster.advance(LATER_MS)
    expect([stored.text, again.text]).toEqual(['stored', 'OFFSET_COMMIT_FAILED'])
    expect(cluster.held.map(({ values }) => values)).toEqual([['t/0=1'], ['t/0=3']])
  })

  it('C-28: a commit that is sent once more over a new connection leaves out what was forgotten meanwhile', async () => {
    const { cluster, committer, commit } = stage()
    commit([at(0, 1), at(1, 2)])
    await cluster.turn()
    committer.forget([at(0, 0)])
    expect(cluster.remake().topics?.flatMap(({ partitions }) => partitions)).toMatchObject([{ partitionIndex: 1 }])
    committer.forget([at(1, 0)])
    expect(() => cluster.remake()).toThrow(/rebalance/)
  })

  it('CO-9: without membership the group is addressed as one without members', async () => {
    const { cluster, commit } = stage()
    cluster.member = null
    const fate = commit([at(0, 5)])
    await cluster.turn()
    expect(cluster.last.who).toBe('@-1')
    cluster.last.refuse(25)
    await cluster.turn()
    expect(fate.error?.message).toMatch(/group g has members, and only they may commit/)
    expect(fate.cause.code).toBe('UNKNOWN_MEMBER_ID')
  })

  it('CO-9: the deadline rejects, and what nobody waits for is not repeated', async () => {
    const { cluster, commit } = stage()
    const fate = commit([at(0, 5)], 1_000)
    await cluster.advance(1_000)
    expect(fate.text).toBe('OFFSET_COMMIT_FAILED')
    expect(fate.cause.code).toBe('TIMEOUT')
    cluster.last.refuse(14)
    await cluster.advance(LATER_MS)
    expect(cluster.held).toHaveLength(1)
    expect(cluster.clock.pendingTimers).toBe(0)
  })

  it('CO-9: each caller has its own deadline', async () => {
    const { cluster, commit } = stage()
    commit([at(2, 1)])
    await cluster.turn()
    const [short, long] = [commit([at(0, 5)], 1_000), commit([at(1, 6)], 5_000)]
    await cluster.advance(1_000)
    expect([short.text, long.text]).toEqual(['OFFSET_COMMIT_FAILED', 'open'])
    cluster.last.answer()
    await cluster.turn()
    expect(cluster.last.values).toEqual(['t/1=6'])
    cluster.last.answer()
    await cluster.turn()
    expect(long.text).toBe('stored')
  })

  it('CO-9: a request that was given up does not leave later', async () => {
    const { cluster, commit } = stage()
    let ask = (): unknown => null
    cluster.requestGroup = async (_groupId, _api, body) => {
      ask = () => (body as (version: number) => unknown)(9)
      return new Promise(() => {})
    }
    commit([at(0, 5)], 1_000)
    await cluster.turn()
    expect(ask()).toMatchObject({ groupId: 'g' })
    await cluster.advance(1_000)
    expect(ask).toThrow(/no commit before the deadline/)
  })

  it('C-34: a lost connection is repeated until the deadline; what no retry mends fails at once', async () => {
    const { cluster, commit } = stage()
    const fate = commit([at(0, 5)])
    await cluster.turn()
    cluster.last.fail(lost(true))
    await cluster.advance(100)
    expect(cluster.held).toHaveLength(2)
    cluster.last.fail(lost(false))
    await cluster.turn()
    expect([fate.text, fate.cause.code, fate.error?.retryable]).toEqual([
      'OFFSET_COMMIT_FAILED',
      'CONNECTION_FAILED',
      false,
    ])
    cluster.refusal = lost(true)
    const none = commit([at(0, 6)], cluster.clock.monotonicMs() + 3_000)
    for (let step = 0; step < 40; step++) await cluster.advance(100)
    expect(none.cause.code).toBe('TIMEOUT')
    expect(none.cause.cause).toMatchObject({ code: 'CONNECTION_FAILED' })
  })

  it('CO-17: close rejects what waits and what is on its way, and leaves no timer', async () => {
    const { cluster, committer, commit } = stage()
    const [inFlight, waiting] = [commit([at(0, 1)]), commit([at(1, 2)])]
    const reading = new Fate(committer.committed([at(0, 0)], LATER_MS))
    await cluster.turn()
    committer.close()
    committer.close()
    await cluster.turn()
    expect([inFlight.text, waiting.text, reading.text]).toEqual([
      'CONSUMER_CLOSED',
      'CONSUMER_CLOSED',
      'CONSUMER_CLOSED',
    ])
    expect(cluster.clock.pendingTimers).toBe(0)
    for (const request of cluster.held) request.fail(lost(true))
    await cluster.advance(LATER_MS)
    expect([inFlight.settlements, waiting.settlements, cluster.held.length]).toEqual([1, 1, 2])
    const late = commit([at(0, 1)])
    await cluster.turn()
    expect(late.text).toBe('CONSUMER_CLOSED')
  })

  it('CO-17: close during a back-off leaves no timer', async () => {
    const { cluster, committer, commit } = stage()
    const fate = commit([at(0, 1)])
    await cluster.turn()
    cluster.last.refuse(14)
    await cluster.turn()
    expect(cluster.clock.pendingTimers).toBe(2) // its deadline, and the pause
    committer.close()
    await cluster.turn()
    expect([fate.text, cluster.clock.pendingTimers]).toEqual(['CONSUMER_CLOSED', 0])
  })

  it('CO-9: refuses at once what cannot be committed', async () => {
    const { cluster, commit } = stage()
    const unfit = [commit([at(0, -1)]), commit([at(0, 1.5)]), commit([at(0, 1, { metadata: 'x'.repeat(40_000) })])]
    const empty = commit([])
    const nowhere = new Fate(new ScriptedCoordinator().committer({ groupId: undefined as never }).commit([at(0, 1)], 1))
    await cluster.turn()
    expect(unfit.map(({ text }) => text)).toEqual(['INVALID_OFFSET', 'INVALID_OFFSET', 'OFFSET_COMMIT_FAILED'])
    expect([empty.text, nowhere.text]).toEqual(['stored', 'MISSING_CONFIG'])
    expect(cluster.held).toEqual([])
  })
})
