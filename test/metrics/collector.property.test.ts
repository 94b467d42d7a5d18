/** Whatever sources come, count, break and go: counters never fall, and end at the sum of all that was counted. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Buckets, LATENCY_SECONDS } from '../../lib/util/index.js'
import { sampleValue } from './exposition.js'
import { consumerMeasures, metricsOf } from './fakes.js'

interface Fake {
  records: number
  seconds: Buckets
  isBroken: boolean
  detach: () => void
}

/** What happens, and to which of the sources that are there. */
const step = fc.record({
  what: fc.constantFrom('come', 'count', 'count', 'count', 'break', 'mend', 'go', 'look', 'look'),
  at: fc.nat(5),
})

describe('any life of sources', () => {
  it('ME-1: counters and histograms never fall, and tell everything in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const metrics = metricsOf()
        const sources: Fake[] = []
        let counted = 0
        let shown = 0
        const look = async () => {
          const text = await metrics.text()
          const records = sampleValue(text, 'tandem_mq_consumer_records_total')
          expect(records).toBeGreaterThanOrEqual(shown)
          expect(records).toBeLessThanOrEqual(counted)
          expect(sampleValue(text, 'tandem_mq_consumer_callback_seconds_count')).toBe(records)
          shown = records
        }
        const come = () => {
          const fake: Fake = { records: 0, seconds: new Buckets(LATENCY_SECONDS), isBroken: false, detach: () => {} }
          fake.detach = metrics.attachConsumer({
            measures: () => {
              if (fake.isBroken) throw new Error('broken')
              return consumerMeasures({ records: fake.records, callbackSeconds: fake.seconds })
            },
          })
          sources.push(fake)
        }
        const mend = (fake: Fake) => {
          fake.isBroken = false
        }
        for (const { what, at } of steps) {
          const fake = sources[at % Math.max(1, sources.length)]
          if (what === 'look') await look()
          else if (what === 'come') come()
          else if (fake === undefined) continue
          else if (what === 'count') {
            counted += at
            fake.records += at
            fake.seconds.observe(0.01, at)
          } else if (what === 'break') fake.isBroken = true
          else if (what === 'mend') mend(fake)
          else {
            mend(fake) // One that is broken while it goes takes what nobody could read.
            fake.detach()
            sources.splice(sources.indexOf(fake), 1)
          }
        }
        for (const fake of sources) mend(fake)
        await look()
        expect(shown).toBe(counted)
        await metrics.close()
        await look()
        expect(shown).toBe(counted)
      }),
      { numRuns: 60 },
    )
  })
})
