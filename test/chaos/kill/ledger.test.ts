/** The judge of the kill tests finds what it is there for, each kind by itself; a check that cannot fail proves nothing. */
import { describe, expect, it } from 'vitest'
import type { Lane } from '../support/job.js'
import { type FoundRecord, faultsOf, Ledger } from '../support/ledger.js'
import { keyFor, valueFor } from '../support/values.js'

const LANES: readonly Lane[] = [{ topic: 't', partition: 0, from: 0 }]

function found(numbers: readonly number[]): FoundRecord[] {
  return numbers.map((number, offset) => {
    const key = keyFor(0, number)
    return { offset, key: key === null ? null : Buffer.from(key), value: Buffer.from(valueFor(0, number)) }
  })
}

/** 0..9 sent, 0..5 accepted. */
function tallyOf(records: readonly FoundRecord[], change: (ledger: Ledger) => void = () => {}) {
  const ledger = new Ledger(1)
  ledger.sent(0, 0, 9)
  ledger.accepted(0, 0, 5)
  change(ledger)
  const { tally, stories } = ledger.judge(LANES, [records], 'replay')
  expect(stories.length > 0).toBe(faultsOf(tally) > 0)
  return tally
}

describe('the verdict over a killed producer', () => {
  it('all accepted once, some of the others too: sound', () => {
    expect(tallyOf(found([0, 1, 2, 3, 4, 5, 7]))).toMatchObject({ sent: 10, accepted: 6, found: 7, unheard: 1 })
    expect(faultsOf(tallyOf(found([0, 1, 2, 3, 4, 5])))).toBe(0)
  })

  it('an accepted record that is missing is lost', () => {
    expect(tallyOf(found([0, 1, 2, 4, 5]))).toMatchObject({ lost: 1, duplicated: 0 })
  })

  it('a record that is there twice is duplicated, accepted or not', () => {
    expect(tallyOf(found([0, 1, 2, 3, 4, 5, 1]))).toMatchObject({ lost: 0, duplicated: 1, reordered: 0 })
    expect(tallyOf(found([0, 1, 2, 3, 4, 5, 8, 8]))).toMatchObject({ duplicated: 1 })
  })

  it('a record before an older one of its lane is reordered', () => {
    expect(tallyOf(found([0, 2, 1, 3, 4, 5]))).toMatchObject({ lost: 0, reordered: 1 })
  })

  it('another value or key is altered', () => {
    const records = found([0, 1, 2, 3, 4, 5])
    const last = records[5] as FoundRecord
    const value = Buffer.from(`${String(last.value)}!`)
    expect(tallyOf([...records.slice(0, 5), { ...last, value }])).toMatchObject({ altered: 1, lost: 0 })
    expect(tallyOf([...records.slice(0, 5), { ...last, key: Buffer.from('x') }])).toMatchObject({ altered: 1 })
  })

  it('what was never sent is foreign', () => {
    expect(tallyOf(found([0, 1, 2, 3, 4, 5, 77]))).toMatchObject({ foreign: 1 })
    const foreign = { offset: 6, key: null, value: Buffer.from('something else') }
    expect(tallyOf([...found([0, 1, 2, 3, 4, 5]), foreign])).toMatchObject({ foreign: 1 })
  })

  it('what was refused as not-persisted must not be there', () => {
    const refused = (ledger: Ledger) => ledger.refused(0, 8, 'not-persisted')
    expect(tallyOf(found([0, 1, 2, 3, 4, 5, 8]), refused)).toMatchObject({ forbidden: 1 })
    expect(faultsOf(tallyOf(found([0, 1, 2, 3, 4, 5]), refused))).toBe(0)
  })
})
