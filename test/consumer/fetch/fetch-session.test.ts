import { describe, expect, it } from 'vitest'
import { FetchSession, type FetchTarget } from '../../../lib/consumer/fetch/fetch-session.js'

const target = (partition: number, fetchOffset = 0, more: Partial<FetchTarget> = {}): FetchTarget => ({
  topic: 't',
  topicId: 'id-1',
  partition,
  fetchOffset,
  leaderEpoch: 0,
  lastFetchedEpoch: -1,
  maxBytes: 100,
  generation: 0,
  ...more,
})
const wanted = (...targets: FetchTarget[]) => new Map(targets.map((t) => [t.partition, t]))
const partitions = (list: readonly { partition: number }[]) => list.map(({ partition }) => partition)

/** A session that a broker has opened under id 7. */
function opened(...targets: FetchTarget[]): FetchSession<number> {
  const session = new FetchSession<number>()
  session.accept(session.request(wanted(...targets), true), 7)
  return session
}

describe('FetchSession', () => {
  it('C-1: the first request is full and opens with (0, 0)', () => {
    const request = new FetchSession<number>().request(wanted(target(0), target(1)), true)
    expect([request.sessionId, request.sessionEpoch]).toEqual([0, 0])
    expect(partitions(request.changed)).toEqual([0, 1])
    expect(request.forgotten).toEqual([])
  })
  it('C-1: then only changes travel, and partitions that are gone are forgotten', () => {
    const session = opened(target(0), target(1), target(2))
    const request = session.request(wanted(target(0), target(1, 50)), true)
    expect([request.sessionId, request.sessionEpoch]).toEqual([7, 1])
    expect(request.changed).toEqual([target(1, 50)])
    expect(partitions(request.forgotten)).toEqual([2])
  })
  it.each([{ leaderEpoch: 1 }, { lastFetchedEpoch: 3 }, { maxBytes: 99 }])('C-1: %j is a change', (more) => {
    expect(partitions(opened(target(0)).request(wanted(target(0, 0, more)), true).changed)).toEqual([0])
  })
  it('C-1: another generation alone is no change: the broker does not know it', () => {
    expect(opened(target(0)).request(wanted(target(0, 0, { generation: 9 })), true).changed).toEqual([])
  })
  it('C-1: epochs count up and go from 2^31-1 to 1', () => {
    const session = opened(target(0))
    const epochs: number[] = []
    for (let round = 0; round < 2; round++) {
      const request = session.request(wanted(target(0)), true)
      epochs.push(request.sessionEpoch)
      session.accept(request, 7)
    }
    expect(epochs).toEqual([1, 2])
    session.accept({ ...session.request(wanted(target(0)), true), sessionEpoch: 2_147_483_647 }, 7)
    expect(session.request(wanted(target(0)), true).sessionEpoch).toBe(1)
  })
  it('C-13: a partition that left and came back under another owner is asked for in full: brokers forget last', () => {
    const session = new FetchSession<string>()
    session.accept(
      session.request(
        new Map([
          ['first', target(0)],
          ['other', target(1)],
        ]),
        true,
      ),
      7,
    )
    const request = session.request(
      new Map([
        ['second', target(0, 9)],
        ['other', target(1)],
      ]),
      true,
    )
    expect([request.sessionId, request.sessionEpoch]).toEqual([7, 0])
    expect([partitions(request.changed), request.forgotten]).toEqual([[0, 1], []])
  })
  it('C-3: a topic made anew is asked for in full where requests name topics', () => {
    const session = new FetchSession<number>()
    session.accept(session.request(wanted(target(0)), false), 7)
    const request = session.request(wanted(target(0, 0, { topicId: 'id-2' })), false)
    expect([request.sessionEpoch, partitions(request.changed), request.forgotten]).toEqual([0, [0], []])
  })
  it('C-2: what was only asked is not known: after a failure the next request is full and gives the old place free', () => {
    const session = opened(target(0), target(1))
    session.request(wanted(target(0, 5)), true)
    session.renew()
    const request = session.request(wanted(target(0, 5)), true)
    expect([request.sessionId, request.sessionEpoch]).toEqual([7, 0])
    expect(partitions(request.changed)).toEqual([0])
    expect(request.forgotten).toEqual([])
  })
  it('C-2: a session the broker does not know (70) starts from (0, 0)', () => {
    const session = opened(target(0))
    session.reset()
    const request = session.request(wanted(target(0)), true)
    expect([request.sessionId, request.sessionEpoch]).toEqual([0, 0])
  })
  it('C-1: a broker without a place answers id 0 and gets full requests', () => {
    const session = new FetchSession<number>()
    for (let round = 0; round < 3; round++) {
      const request = session.request(wanted(target(0)), true)
      expect([request.sessionId, request.sessionEpoch, request.changed.length]).toEqual([0, 0, 1])
      session.accept(request, 0)
    }
    expect(session.closing()).toBeUndefined()
  })
  it('C-3: a topic made anew is forgotten under its old id and wanted under the new one', () => {
    const request = opened(target(0)).request(wanted(target(0, 0, { topicId: 'id-2' })), true)
    expect(request.forgotten.map(({ topicId }) => topicId)).toEqual(['id-1'])
    expect(request.changed.map(({ topicId }) => topicId)).toEqual(['id-2'])
  })
  it('C-4: a session by names is not continued by ids (106)', () => {
    const request = opened(target(0)).request(wanted(target(0)), false)
    expect([request.sessionId, request.sessionEpoch]).toEqual([7, 0])
  })
  it('C-1: closing names the session with epoch -1', () => {
    const closing = opened(target(0)).closing()
    expect([closing?.sessionId, closing?.sessionEpoch, closing?.changed]).toEqual([7, -1, []])
  })
})
