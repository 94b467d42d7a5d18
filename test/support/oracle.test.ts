/** The oracle is believed by everybody, therefore each of its verdicts is seen to fail once. */
import { describe, expect, it } from 'vitest'
import { expectFaithful, judge, type LaneHistory, type LoggedRecord, type SentRecord, tell } from './oracle.js'

const sent = (ids: string, change: Partial<Record<string, Partial<SentRecord>>> = {}): SentRecord[] =>
  [...ids].map((id) => ({ id, outcome: 'acknowledged', content: `value of ${id}`, ...change[id] }))
const log = (ids: string, change: Partial<Record<string, Partial<LoggedRecord>>> = {}): LoggedRecord[] =>
  [...ids].map((id, index) => ({ id, offset: 100 + index, content: `value of ${id}`, ...change[id] }))
const lane = (sentRecords: SentRecord[], logged: LoggedRecord[]): LaneHistory => ({
  topic: 'orders',
  partition: 3,
  sent: sentRecords,
  log: logged,
})
const kinds = (history: LaneHistory) => judge(history).findings.map(({ kind, id }) => `${kind} ${id}`)

describe('oracle', () => {
  it('finds nothing where everything is right, doubtful records present or absent', () => {
    expect(kinds(lane(sent('abc', { a: { offset: 100 } }), log('abc')))).toEqual([])
    expect(kinds(lane(sent('abc', { b: { outcome: 'possibly-persisted' } }), log('ac')))).toEqual([])
    expect(kinds(lane(sent('abc', { b: { outcome: 'pending' }, c: { outcome: 'not-persisted' } }), log('ab')))).toEqual(
      [],
    )
  })
  it('finds an acknowledged record that is not in the log', () => {
    expect(kinds(lane(sent('abc'), log('ac')))).toEqual(['lost b'])
  })
  it('finds a record that is twice in the log, and does not call its copy reordered', () => {
    expect(kinds(lane(sent('abc'), log('abcab')))).toEqual(['duplicated a', 'duplicated b'])
  })
  it('finds a record behind a newer one of the same sender only', () => {
    expect(kinds(lane(sent('abc'), log('acb')))).toEqual(['reordered b'])
    expect(kinds(lane(sent('abc', { c: { sender: 'second' } }), log('acb')))).toEqual([])
  })
  it('finds other content under the same id', () => {
    expect(kinds(lane(sent('abc'), log('abc', { c: { content: 'value of x' } })))).toEqual(['altered c'])
  })
  it('finds an acknowledged offset that holds another record', () => {
    expect(kinds(lane(sent('ab', { b: { offset: 100 } }), log('ab')))).toEqual(['misplaced b'])
    expect(kinds(lane(sent('ab', { b: { offset: -1 } }), log('ab')))).toEqual([])
  })
  it('finds what was never sent, and what was reported not-persisted', () => {
    expect(kinds(lane(sent('ab', { b: { outcome: 'not-persisted' } }), log('abx')))).toEqual([
      'forbidden b',
      'foreign x',
    ])
  })
  it('refuses ids that are not distinct', () => {
    expect(() => judge(lane(sent('aa'), log('a')))).toThrow(/distinct/)
  })
  it('tells seed, step, counts, the first difference and how to replay', () => {
    const history = lane(sent('abc', { b: { offset: 101, note: 'batch 860..891' } }), log('ac'))
    const story = tell(judge(history), { seed: 91734, step: 412, replay: 'SEED=91734 npx vitest run test/producer' })
    expect(story).toBe(
      [
        'seed 91734, step 412: orders/3 lost 1, misplaced 1',
        '  accepted 3, acknowledged 3, in the log 2',
        '  first lost (acknowledged record is not in the log): b (sent as number 2, batch 860..891), acknowledged at offset 101',
        '  first misplaced (acknowledged offset holds another record): b was acknowledged at offset 101, which holds c',
        '  replay: SEED=91734 npx vitest run test/producer',
      ].join('\n'),
    )
  })
  it('throws the story of every partition that failed', () => {
    const good = lane(sent('ab'), log('ab'))
    expect(() => expectFaithful([good])).not.toThrow()
    expect(() =>
      expectFaithful([good, lane(sent('ab'), log('ba')), { ...lane(sent('ab'), log('b')), partition: 4 }]),
    ).toThrow(/orders\/3 reordered 1[\s\S]*orders\/4 lost 1/)
  })
})
