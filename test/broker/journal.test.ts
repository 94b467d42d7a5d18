/** What arrived is kept within bounds, totals count everything, and waiting needs no sleep. */
import { describe, expect, it } from 'vitest'
import { Journal } from '../../lib/broker/journal.js'

function request(api: string, bytes: number, correlationId = 0) {
  return {
    api,
    node: 1,
    version: 0,
    correlationId,
    clientId: null,
    body: {},
    atMs: 0,
    connection: 0,
    principal: 'ANONYMOUS',
    bytes,
  }
}

describe('journal', () => {
  it('keeps 10,000 requests and 16 MiB of frames, oldest out first; totals go on', () => {
    const journal = new Journal()
    for (let index = 0; index < 10_050; index++) journal.note(request('Fetch', 10, index))
    expect(journal.list()).toHaveLength(10_000)
    expect(journal.list()[0]?.correlationId).toBe(50)
    expect(journal.count({ api: 'Fetch' })).toBe(10_050)
    for (let index = 0; index < 20; index++) journal.note(request('Produce', 1024 * 1024))
    expect(journal.list()).toHaveLength(16)
    journal.note(request('Produce', 100 * 1024 * 1024))
    expect(journal.list()).toHaveLength(1)
  })

  it('settles a waiter when its fact is there, and at once when it was', async () => {
    const journal = new Journal()
    const seen: string[] = []
    const two = journal.until(() => journal.count({ api: 'Produce' }) >= 2).then(() => seen.push('two'))
    journal.note(request('Produce', 1))
    await Promise.resolve()
    expect(seen).toEqual([])
    journal.note(request('Produce', 1))
    await two
    await journal.until(() => journal.count({}) === 2)
    expect(seen).toEqual(['two'])
  })
})
