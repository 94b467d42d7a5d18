/**
 * A batch whose records go on in others, again and again: what is in the parts, and who is told what, in which order.
 * The model is a plain list of records; each step splits a part in two, or takes bad records out of it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryBudget } from '../../lib/channel/index.js'
import { MQError } from '../../lib/errors/index.js'
import { Batch, type RecordMetadata } from '../../lib/producer/batch.js'
import { BatchMemory } from '../../lib/producer/batch-memory.js'
import { Deliveries } from '../../lib/producer/deliver.js'
import { RecordTime } from '../../lib/producer/record-clock.js'
import { openRecords, plainRecordsOf, reseal } from '../../lib/producer/reseal.js'
import { headersBytes } from '../../lib/protocol/index.js'

interface Sent {
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer
  readonly isWaited: boolean
}

const T0 = 1_700_000_000_000
const sent: fc.Arbitrary<Sent> = fc.record({
  timestamp: fc.integer({ min: T0 - 100_000, max: T0 + 100_000 }),
  key: fc.option(fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))),
  value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  isWaited: fc.boolean(),
})

type Told = { record: number; error: string | null; metadata: RecordMetadata | null }

function fill(memory: BatchMemory, records: readonly Sent[], told: Told[]): Batch {
  const batch = new Batch()
  batch.sequence = 7
  const time = new RecordTime()
  for (const [index, { timestamp, key, value, isWaited }] of records.entries()) {
    time.ms = timestamp
    const keyLength = key?.length ?? -1
    const bodyBytes = batch.bodyBytesOf(time, keyLength, value.length, headersBytes(null))
    if (!batch.hasRoomFor(bodyBytes)) memory.grow(batch, Math.max(61, batch.bytes) + bodyBytes + 5, 2 * batch.bytes)
    if (isWaited) {
      batch.addWaiter(batch.records, timestamp, (error, metadata) => {
        told.push({ record: index, error: error?.message ?? null, metadata })
      })
    }
    batch.append(bodyBytes, time, key, keyLength, value, value.length, null)
  }
  batch.finish(0, null)
  return batch
}

/** What a part holds, as the values that were sent. */
function contentOf(part: Batch): { value: string; key: string | null; timestamp: number }[] {
  const cursor = openRecords(part, part.body)
  const found = []
  while (cursor.next()) {
    const key = cursor.key()
    found.push({
      value: Buffer.from(cursor.value() as Uint8Array).toString('hex'),
      key: key === null ? null : Buffer.from(key).toString('hex'),
      timestamp: cursor.timestamp,
    })
  }
  return found
}

describe('resealing', () => {
  it('P-33, P-35: any series of splits and refusals keeps records, order and callers; memory is exchanged, not added', async () => {
    const step = fc.record({ part: fc.nat(30), bad: fc.option(fc.array(fc.nat(40), { minLength: 1, maxLength: 5 })) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(sent, { minLength: 1, maxLength: 40 }),
        fc.array(step, { maxLength: 8 }),
        async (records, steps) => {
          const budget = new MemoryBudget({ limitBytes: 1 << 20 })
          const memory = new BatchMemory(budget)
          const told: Told[] = []
          const tell = new Deliveries({ failed: () => {}, threw: () => {} })
          const deliver = async (batch: Batch, baseOffset: number) => {
            const outcome = { error: null, baseOffset, logAppendTimeMs: -1 }
            tell.add({ topic: 't', partition: 0, batch, outcome })
            await Promise.resolve()
          }
          let lane: { batch: Batch; records: number[] }[] = [
            { batch: fill(memory, records, told), records: records.map((_, index) => index) },
          ]
          const refused = new Set<number>()
          for (const { part, bad } of steps) {
            const at = part % lane.length
            const target = lane[at] as (typeof lane)[number]
            if (target.batch.records === 0) continue
            const out = new Set((bad ?? []).filter((record) => record < target.batch.records))
            if (bad !== null && (out.size === 0 || out.size === target.batch.records)) continue
            const plain = await plainRecordsOf(target.batch)
            const maxBytes = bad === null ? Math.ceil(target.batch.plainBytes / 2) : 1 << 20
            const refusalOf = (record: number) =>
              out.has(record) ? new MQError('PRODUCE_FAILED', `bad ${target.records[record]}`) : null
            const parts = reseal(target.batch, plain, maxBytes, refusalOf, memory)
            if (parts === null) throw new Error('there was memory enough')
            expect(parts.length).toBeGreaterThanOrEqual(bad === null && target.batch.records > 1 ? 2 : 1)
            expect(target.batch.refusedRecords).toBe(out.size)
            for (const record of out) refused.add(target.records[record] as number)
            const kept = target.records.filter((_, record) => !out.has(record))
            const replaced = parts.map((one) => {
              one.finish(0, null)
              expect(one.plainBytes).toBeLessThanOrEqual(Math.max(maxBytes, one.records === 1 ? one.plainBytes : 0))
              return { batch: one, records: kept.splice(0, one.records) }
            })
            expect(kept).toEqual([])
            memory.release(target.batch)
            // The replaced one stays in line for the callers that stand in front of every part.
            lane = [...lane.slice(0, at), { batch: target.batch, records: [] }, ...replaced, ...lane.slice(at + 1)]
            target.batch.records = 0
          }
          const live = lane.filter(({ records: of }) => of.length > 0)
          expect(live.map(({ batch }) => batch.sequence)).toEqual(
            [...live.map(({ batch }) => batch.sequence)].sort((a, b) => a - b),
          )
          expect(budget.usedBytes).toBe(live.reduce((sum, { batch }) => sum + batch.heldBytes, 0))
          const expected = records.map(({ value, key, timestamp }) => ({
            value: value.toString('hex'),
            key: key?.toString('hex') ?? null,
            timestamp,
          }))
          expect(live.flatMap(({ batch }) => contentOf(batch))).toEqual(expected.filter((_, at) => !refused.has(at)))
          let offset = 100
          for (const { batch, records: of } of lane) {
            await deliver(batch, offset)
            offset += of.length
          }
          const waited = records.flatMap(({ isWaited }, index) => (isWaited ? [index] : []))
          expect(told.map(({ record }) => record)).toEqual(waited)
          let next = 100
          const offsets = records.map((_, index) => (refused.has(index) ? -1 : next++))
          for (const { record, error, metadata } of told) {
            expect(error).toBe(refused.has(record) ? `bad ${record}` : null)
            if (metadata !== null) {
              expect(metadata.offset).toBe(offsets[record])
              expect(metadata.timestamp).toBe(records[record]?.timestamp)
            }
          }
          for (const { batch } of live) memory.release(batch)
          expect(budget.usedBytes).toBe(0)
          expect(memory.stats().takenArenas).toBe(0)
        },
      ),
      { numRuns: 300, seed: 20_261_121 },
    )
  })
})
