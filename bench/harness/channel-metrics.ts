/**
 * What metrics cost over 3.7 million records: each a line of text that is built, encoded and written; one reader.
 * Method of the original: buffers of 5,000, delivered records counted. `off`: nothing attached. `on`: as in production, a
 * Metrics that brings all series to a sink every 5 s, once more at the end, and is scraped there. `perRecord`: four
 * prom-client counters stepped at each record, as code without a batching layer does it.
 * Invariant: every record is delivered, in order, and what the metrics say at the end is what was written and read.
 */
import { Counter, Registry } from 'prom-client'
import { ByteChannel } from '../../lib/channel/index.js'
import type { HistogramTotals, MetricLabels, MetricsSink } from '../../lib/config/index.js'
import { createMetrics, type Metrics } from '../../lib/index.js'
import type { CaseOf, ChannelWork, MetricsMode } from './channel-job.js'

export const RECORDS = 3_700_000
const QUICK_RECORDS = 100_000
const TURN = 5000
/** The event loop has its turn, and timers theirs, after so many buffers. */
const TURNS_PER_TICK = 10
const FIRST_NUMBER = 10_000_000

export function metricsCost({ mode }: CaseOf<'metrics'>, isQuick: boolean): ChannelWork {
  const watch = WATCHES[mode]()
  const { metrics } = watch
  const channel = new ByteChannel({
    maxRecords: TURN,
    copyOnWrite: false, // each line has bytes of its own
    readMode: 'zeroCopy',
    ...(metrics === undefined ? {} : { metrics }),
  })
  let delivered = 0
  let deliveredBytes = 0
  const { wrote, read } = watch
  const turn = () => {
    for (let index = 0; index < TURN; index++) {
      const bytes = Buffer.from(lineOf(delivered + index))
      channel.write(bytes)
      if (wrote !== undefined) wrote(bytes.length)
    }
    for (let chunk = channel.tryRead(); chunk !== undefined; chunk = channel.tryRead()) {
      // The last digits of the number: the line is the one that was written.
      if (chunk.bytes[LAST_DIGIT] !== 48 + (delivered % 10)) throw new Error(`line ${delivered} is not the one written`)
      delivered++
      deliveredBytes += chunk.length
      if (read !== undefined) read(chunk.length)
      chunk.release()
    }
  }
  return {
    fixedCount: isQuick ? QUICK_RECORDS : RECORDS,
    run: async (count) => {
      const before = delivered
      for (let done = 0; done < count; done += TURN) {
        turn()
        if ((done / TURN) % TURNS_PER_TICK === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await watch.flush?.()
      if (delivered !== before + count) throw new Error(`${delivered - before} of ${count} were delivered`)
    },
    verified: () => delivered,
    end: async () => {
      await watch.check?.(delivered, deliveredBytes)
      await channel.close({ drain: false })
      await metrics?.close()
    },
  }
}

const HEAD = 'line '
const LAST_DIGIT = HEAD.length + String(FIRST_NUMBER).length - 1

/** 67 bytes, as far as the number has eight digits. */
function lineOf(number: number): string {
  return `${HEAD}${FIRST_NUMBER + number}: a service tells what it did, one line for each time`
}

/** What watches the channel. The hooks are absent where nobody wants to be called per record. */
interface Watch {
  readonly metrics?: Metrics
  readonly wrote?: (bytes: number) => void
  readonly read?: (bytes: number) => void
  flush?(): Promise<void>
  check?(records: number, bytes: number): Promise<void>
}

const WATCHES: { readonly [K in MetricsMode]: () => Watch } = {
  off: () => ({}),
  on: watchAsInProduction,
  perRecord: countEachRecord,
}

/** Takes every value, as a real sink would, and keeps the last totals. */
class KeepingSink implements MetricsSink {
  readonly totals = new Map<string, number>()
  counter(name: string, labels: MetricLabels, total: number): void {
    this.totals.set(`${name} ${labels.result ?? ''}`, total)
  }
  gauge(name: string, labels: MetricLabels, value: number): void {
    this.totals.set(`${name} ${labels.result ?? ''}`, value)
  }
  histogram(name: string, _labels: MetricLabels, totals: HistogramTotals): void {
    this.totals.set(name, totals.count)
  }
  flush(): void {}
}

function watchAsInProduction(): Watch {
  const sink = new KeepingSink()
  const metrics = createMetrics({ prefix: 'bench_', sink, flushIntervalMs: 5000 })
  metrics.start()
  return {
    metrics,
    flush: async () => {
      await metrics.flush()
      await metrics.text()
    },
    check: async (records) => {
      await metrics.flush()
      const said = ['write', 'read'].map((what) => sink.totals.get(`bench_${what}_counts_total success`))
      if (said.some((total) => total !== records)) throw new Error(`${records} records, the metrics say ${said}`)
    },
  }
}

function countEachRecord(): Watch {
  const registry = new Registry()
  const counter = (name: string) => new Counter({ name, help: name, registers: [registry] })
  const writes = counter('writes_total')
  const writtenBytes = counter('written_bytes_total')
  const reads = counter('reads_total')
  const readBytes = counter('read_bytes_total')
  return {
    wrote: (bytes) => {
      writes.inc()
      writtenBytes.inc(bytes)
    },
    read: (bytes) => {
      reads.inc()
      readBytes.inc(bytes)
    },
    flush: () => registry.metrics().then(() => {}),
    check: async (records, bytes) => {
      const counted = (await reads.get()).values[0]?.value
      const countedBytes = (await readBytes.get()).values[0]?.value
      if (counted !== records || countedBytes !== bytes) throw new Error(`${records} records, counted ${counted}`)
    },
  }
}
