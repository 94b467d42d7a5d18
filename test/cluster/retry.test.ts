import { describe, expect, it } from 'vitest'
import { judgeProduce, type ProduceAction } from '../../lib/cluster/index.js'

/** kafka.md 3.4, row by row; * behind a number: the answer proves that nothing was written. */
const table: Record<Exclude<ProduceAction, 'failBatch'>, string> = {
  ok: '0 46',
  retry: '-1 2* 7 14 15 16 19* 20 35* 41 55* 75 78 89',
  refresh: '3 5 6 8 9 13 56 72 74 100 103 129',
  split: '10* 18*',
  identity: '45* 47* 59*',
  transaction: '48* 49* 50* 51* 52* 53* 90* 105* 120*',
  failLane: '17* 29*',
  dead: '21* 31* 33 34 58 104',
}
const failsBatch = '32* 87* 42* 43* 44* 54* 76* 1 4'

describe('judgeProduce', () => {
  it('P-32: the table of 3.4, action and proof', () => {
    const expected = new Map<number, string>()
    for (const [action, row] of Object.entries({ ...table, failBatch: failsBatch })) {
      for (const word of row.split(' '))
        expected.set(Number.parseInt(word, 10), `${action}${word.endsWith('*') ? '*' : ''}`)
    }
    for (let number = -1; number <= 133; number++) {
      const { action, provesNotWritten } = judgeProduce(number)
      expect(`${number} ${action}${provesNotWritten ? '*' : ''}`).toBe(
        `${number} ${expected.get(number) ?? 'failBatch'}`,
      )
    }
  })

  it('P-32: an unknown number is final, proves nothing, crashes nothing', () => {
    for (const number of [134, 999, -2, 32_767, -32_768]) {
      expect(judgeProduce(number)).toMatchObject({ action: 'failBatch', provesNotWritten: false, maxRetries: 0 })
    }
  })

  it('P-34, W-20: 2 and 35 are retried once on a new socket, -1 three times, others until the deadline', () => {
    expect([2, 35, -1, 7, 6].map((number) => judgeProduce(number).maxRetries)).toEqual([1, 1, 3, Infinity, Infinity])
    expect([2, 35, -1, 7].map((number) => judgeProduce(number).onNewSocket)).toEqual([true, true, false, false])
  })
})
