/** Who coordinates a group, and the way there. Brokers are scripted; time is virtual. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import {
  FindCoordinator,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  type RequestOf,
  type ResponseOf,
} from '../../lib/protocol/index.js'
import { settle } from './memory-net.js'
import type { Arrived } from './scripted-broker.js'
import { failureOf, pass, passUntil, type Scene, scene } from './support.js'

type Find = Arrived<typeof FindCoordinator>

const beat = { groupId: 'g', memberId: 'm', generationId: 1 }
const join: RequestOf<typeof JoinGroup> = {
  groupId: 'g',
  sessionTimeoutMs: 10_000,
  rebalanceTimeoutMs: 60_000,
  memberId: '',
  protocolType: 'consumer',
  protocols: [],
}

/** Every broker says that this one coordinates, or answers with an error number. */
function coordinates({ brokers, state }: Scene, brokerId: number, errorCode = 0): void {
  const { host, port } = state.brokers[brokerId - 1] ?? { host: '', port: -1 }
  const nodeId = errorCode === 0 ? brokerId : -1
  for (const broker of brokers)
    broker.on(FindCoordinator, (request) => request.reply(found(request, { nodeId, host, port, errorCode })))
}

function found(
  { version, body }: Find,
  answer: { nodeId: number; host: string; port: number; errorCode: number },
): ResponseOf<typeof FindCoordinator> {
  return version >= 4 ? { coordinators: body.coordinatorKeys.map((key) => ({ key, ...answer })) } : answer
}

const lookUps = ({ brokers }: Scene) => brokers.reduce((sum, broker) => sum + broker.count(FindCoordinator), 0)

describe('Cluster.coordinator', () => {
  it('W-29: looked up once, shared by all who ask, and remembered', async () => {
    const s = scene(3)
    coordinates(s, 2)
    await s.cluster.connect()
    const asked = Promise.all([s.cluster.coordinator('g'), s.cluster.coordinator('g'), s.cluster.coordinator('g')])
    expect(await passUntil(s.clock, asked)).toEqual([2, 2, 2])
    expect(await s.cluster.coordinator('g')).toBe(2)
    expect(lookUps(s)).toBe(1)
    expect(await passUntil(s.clock, s.cluster.coordinator('other'))).toBe(2)
    expect(lookUps(s)).toBe(2)
  })

  it.each([2, 3, 4, 6])('W-29: asks in the form of version %s', async (max) => {
    const s = scene(1)
    s.brokers[0]?.ranges.set(FindCoordinator.key, { min: 2, max })
    coordinates(s, 1)
    expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(1)
    const [request] = s.brokers[0]?.of(FindCoordinator) ?? []
    expect(request?.version).toBe(max)
    expect([request?.body.key, request?.body.coordinatorKeys, request?.body.keyType]).toEqual(
      max >= 4 ? ['', ['g'], 0] : ['g', [], 0],
    )
  })

  it('W-29: not available yet (15) is asked again with back-off, for as long as the asker wants', async () => {
    const s = scene(1)
    coordinates(s, 1, 15)
    const deadlineMs = s.clock.monotonicMs() + 3_000
    const error = await passUntil(s.clock, failureOf(s.cluster.coordinator('g', { deadlineMs })))
    expect([error.code, error.retryable, error.context['groupId']]).toEqual(['GROUP_COORDINATOR_NOT_FOUND', true, 'g'])
    expect(s.clock.monotonicMs() - deadlineMs).toBeLessThanOrEqual(10)
    expect(lookUps(s)).toBeGreaterThan(3)
    const before = lookUps(s)
    await pass(s.clock, 20_000)
    expect(lookUps(s) - before).toBeLessThanOrEqual(1) // nobody waits any more
    coordinates(s, 1)
    expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(1)
  })

  it('W-29: each asker has his own patience', async () => {
    const s = scene(1)
    coordinates(s, 1, 15)
    await s.cluster.connect()
    const now = s.clock.monotonicMs()
    const short = failureOf(s.cluster.coordinator('g', { deadlineMs: now + 500 }))
    const rounds = failureOf(s.cluster.coordinator('g')) // maxRetries
    const long = s.cluster.coordinator('g', { deadlineMs: now + 60_000 })
    expect((await passUntil(s.clock, short)).code).toBe('GROUP_COORDINATOR_NOT_FOUND')
    expect((await passUntil(s.clock, rounds)).code).toBe('GROUP_COORDINATOR_NOT_FOUND')
    coordinates(s, 1)
    expect(await passUntil(s.clock, long)).toBe(1)
  })

  it('30: refused for good, and the group is named', async () => {
    const s = scene(1)
    coordinates(s, 1, 30)
    const error = await passUntil(s.clock, failureOf(s.cluster.coordinator('g', { deadlineMs: 60_000 })))
    expect([error.code, error.fatal]).toEqual(['AUTHORIZATION_FAILED', true])
    expect(error.context).toMatchObject({ resource: 'group g', operation: 'READ', kafkaCode: 30 })
    expect(error.message).toContain('group g')
    expect(lookUps(s)).toBe(1)
  })

  it('no broker answers: TIMEOUT at the deadline, with what went wrong', async () => {
    const s = scene(2)
    await s.cluster.connect()
    for (const broker of s.brokers) broker.on(FindCoordinator, () => {})
    const deadlineMs = s.clock.monotonicMs() + 2_000
    const error = await passUntil(s.clock, failureOf(s.cluster.coordinator('g', { deadlineMs })))
    expect([error.code, error.retryable]).toEqual(['TIMEOUT', true])
    expect(s.clock.monotonicMs() - deadlineMs).toBeLessThanOrEqual(10)
  })

  it('an answer without an address is no answer', async () => {
    const s = scene(1)
    s.brokers[0]?.on(FindCoordinator, (request) =>
      request.reply(found(request, { nodeId: -1, host: '', port: -1, errorCode: 0 })),
    )
    const error = await passUntil(s.clock, failureOf(s.cluster.coordinator('g')))
    expect(error.code).toBe('GROUP_COORDINATOR_NOT_FOUND')
  })

  it('forgets only what is still remembered', async () => {
    const s = scene(3)
    coordinates(s, 2)
    await passUntil(s.clock, s.cluster.coordinator('g'))
    s.cluster.forgetCoordinator('g', 1)
    s.cluster.forgetCoordinator('other', 2)
    await s.cluster.coordinator('g')
    expect(lookUps(s)).toBe(1)
    s.cluster.forgetCoordinator('g', 2)
    coordinates(s, 3)
    expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(3)
  })

  it('close ends every look-up; nothing is asked afterwards', async () => {
    const s = scene(1)
    coordinates(s, 1, 15)
    const asked = failureOf(s.cluster.coordinator('g', { deadlineMs: 60_000 }))
    await pass(s.clock, 500)
    await passUntil(s.clock, s.cluster.close())
    expect((await asked).code).toBe('CONNECTION_CLOSED')
    const before = lookUps(s)
    await pass(s.clock, 5_000)
    expect(lookUps(s)).toBe(before)
    expect((await failureOf(s.cluster.coordinator('g'))).code).toBe('CONNECTION_CLOSED')
    expect(s.clock.pendingTimers).toBe(0)
  })
})

describe('Cluster.requestGroup', () => {
  it('a coordinator that metadata has not seen yet is reached by the address of the answer', async () => {
    const s = scene(2)
    const hidden = s.state.brokers.pop()
    await s.cluster.connect()
    expect(s.cluster.brokers().map(({ brokerId }) => brokerId)).toEqual([1])
    for (const broker of s.brokers) {
      broker.on(FindCoordinator, (request) =>
        request.reply(found(request, { nodeId: 2, host: hidden?.host ?? '', port: hidden?.port ?? 0, errorCode: 0 })),
      )
    }
    s.brokers[1]?.on(Heartbeat, (request) => request.reply({ errorCode: 0 }))
    expect((await passUntil(s.clock, s.cluster.requestGroup('g', Heartbeat, beat))).errorCode).toBe(0)
  })

  it('W-10: a JoinGroup that is held delays neither control requests nor metadata', async () => {
    const s = scene(1)
    coordinates(s, 1)
    s.brokers[0]?.on(JoinGroup, () => {})
    s.brokers[0]?.on(LeaveGroup, (request) => request.reply({ errorCode: 0, members: [] }))
    const joined = failureOf(s.cluster.requestGroup('g', JoinGroup, join, { purpose: 'group', limitMs: 60_000 }))
    await pass(s.clock, 200)
    expect(s.brokers[0]?.count(JoinGroup)).toBe(1)
    const left = s.cluster.requestGroup('g', LeaveGroup, (version) => {
      expect(version).toBeGreaterThanOrEqual(3)
      return { groupId: 'g', members: [{ memberId: 'm' }] }
    })
    await passUntil(s.clock, left, 500)
    await passUntil(s.clock, s.cluster.refresh('test'), 500)
    await pass(s.clock, 60_000, 100) // the broker's own limit: it may answer until then, and a little longer
    expect(s.net.openConnections).toBeGreaterThan(1)
    await pass(s.clock, 11_000, 100)
    expect((await joined).context).toMatchObject({ wasSent: 'possibly' })
  })

  it('W-29: control requests are repeated when the connection breaks, at whoever coordinates then', async () => {
    const s = scene(3)
    coordinates(s, 2)
    await passUntil(s.clock, s.cluster.coordinator('g'))
    s.brokers[1]?.on(Heartbeat, ({ transport }) => {
      coordinates(s, 3)
      transport.destroy(new MQError('CONNECTION_CLOSED', 'gone'))
    })
    s.brokers[2]?.on(Heartbeat, (request) => request.reply({ errorCode: 0 }))
    const deadlineMs = s.clock.monotonicMs() + 5_000
    const answer = await passUntil(s.clock, s.cluster.requestGroup('g', Heartbeat, beat, { deadlineMs }))
    expect(answer.errorCode).toBe(0)
    expect(s.brokers.map((broker) => broker.count(Heartbeat))).toEqual([0, 1, 1])
    expect(await s.cluster.coordinator('g')).toBe(3)
  })

  it("W-29: requests of the member are not: it learns whether they were sent, and the next one finds the coordinator's new place", async () => {
    const s = scene(3)
    coordinates(s, 2)
    await passUntil(s.clock, s.cluster.coordinator('g'))
    s.brokers[1]?.on(JoinGroup, ({ transport }) => transport.destroy(new MQError('CONNECTION_CLOSED', 'gone')))
    const error = await passUntil(
      s.clock,
      failureOf(s.cluster.requestGroup('g', JoinGroup, join, { purpose: 'group' })),
    )
    expect([error.family, error.context['wasSent']]).toEqual(['connection', 'possibly'])
    expect(s.brokers[1]?.count(JoinGroup)).toBe(1)
    coordinates(s, 3)
    expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(3)
    s.net.refuse(s.state.brokers[2]?.port as number)
    const refused = await passUntil(
      s.clock,
      failureOf(s.cluster.requestGroup('g', JoinGroup, join, { purpose: 'group' })),
    )
    expect(refused.context['wasSent']).toBe('no')
  })

  it('W-29: a connection that breaks while nothing is asked forgets the coordinator too', async () => {
    const s = scene(3)
    coordinates(s, 2)
    s.brokers[1]?.on(Heartbeat, (request) => request.reply({ errorCode: 0 }))
    await passUntil(s.clock, s.cluster.requestGroup('g', Heartbeat, beat, { purpose: 'group' }))
    const before = lookUps(s)
    s.brokers[1]?.hangUp()
    await settle()
    coordinates(s, 3)
    expect(await passUntil(s.clock, s.cluster.coordinator('g'))).toBe(3)
    expect(lookUps(s)).toBe(before + 1)
  })

  it('14, 15, 16 are the caller’s to judge', async () => {
    const s = scene(2)
    coordinates(s, 2)
    for (const errorCode of [14, 15, 16]) {
      s.brokers[1]?.on(Heartbeat, (request) => request.reply({ errorCode }))
      expect((await passUntil(s.clock, s.cluster.requestGroup('g', Heartbeat, beat))).errorCode).toBe(errorCode)
      expect(await s.cluster.coordinator('g')).toBe(2)
    }
    expect(lookUps(s)).toBe(1)
  })

  it('W-11: a member’s request past its deadline takes the connection with it: the next waits behind nothing', async () => {
    const s = scene(1)
    coordinates(s, 1)
    s.brokers[0]?.on(Heartbeat, () => {})
    const deadlineMs = s.clock.monotonicMs() + 1_000
    const asked = failureOf(s.cluster.requestGroup('g', Heartbeat, beat, { purpose: 'group', deadlineMs }))
    expect((await passUntil(s.clock, asked)).code).toBe('CONNECTION_TIMEOUT')
    s.brokers[0]?.on(Heartbeat, (request) => request.reply({ errorCode: 0 }))
    const again = s.cluster.requestGroup('g', Heartbeat, beat, { purpose: 'group' })
    expect((await passUntil(s.clock, again, 2_000)).errorCode).toBe(0)
  })
})
