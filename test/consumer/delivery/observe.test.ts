/** What runs around callbacks: the trace id of the record, and observers that may fail without harm. */
import { describe, expect, it } from 'vitest'
import type { ConsumerConfig } from '../../../lib/config/index.js'
import { resolveConsumerConfig } from '../../../lib/config/index.js'
import type { CallbackResult } from '../../../lib/consumer/cursor.js'
import { wrapsOf } from '../../../lib/consumer/delivery/observe.js'
import {
  currentTraceId,
  deferred,
  type Logger,
  type ObservedRecord,
  type ProcessHook,
  silentLogger,
  withTraceId,
} from '../../../lib/util/index.js'
import { storedBatch } from '../batches.js'
import { SinkStage } from '../sink-stage.js'

const TRACED: ConsumerConfig = { trace: { enabled: true } }
const WAYS: [string, ConsumerConfig][] = [
  ['by partition', TRACED],
  ['by key', { ...TRACED, concurrencyBy: 'key' }],
]

/** Record 0 has the id 'a', 1 none, 2 an empty one, 3 two of them. */
const traced = storedBatch({
  baseOffset: 0,
  values: ['0', '1', '2', '3'],
  headers: [
    [['X-Trace-ID', 'a']],
    [['x-trace-id', 'another name']],
    [['X-Trace-ID', '']],
    [
      ['X-Trace-ID', 'b'],
      ['X-Trace-ID', 'c'],
    ],
  ],
})

describe.each(WAYS)('PR-23 trace %s', (_way, config) => {
  it('PR-23: a callback runs inside the id of its record, and in none without one', async () => {
    const stage = new SinkStage({ config })
    const seen: unknown[] = []
    const cursor = stage.perRecord(0, () => void seen.push(currentTraceId()))
    stage.push(cursor, traced)
    await withTraceId('of whoever is pumping', () => stage.turn())
    expect(seen).toEqual(['a', undefined, undefined, 'c'])
    expect(currentTraceId()).toBeUndefined()
  })

  it('PR-23: what it awaits runs inside it too, and the next record does not', async () => {
    const stage = new SinkStage({ config })
    const seen: unknown[] = []
    const gates = [deferred<void>(), deferred<void>()]
    const cursor = stage.perRecord(0, async (record) => {
      await gates[record.offset]?.promise
      seen.push([record.offset, currentTraceId()])
    })
    stage.push(cursor, traced)
    await stage.turn()
    gates[1]?.resolve()
    withTraceId('of another', () => gates[0]?.resolve())
    for (let round = 0; round < 8; round++) await stage.turn()
    const inOrder = [...seen].sort()
    expect(inOrder).toEqual([
      [0, 'a'],
      [1, undefined],
      [2, undefined],
      [3, 'c'],
    ])
  })

  it('PR-23: an error of the partition has no record, so no id', async () => {
    const deserializer = {
      deserialize: () => {
        throw new Error('no')
      },
    }
    const stage = new SinkStage({
      config: { ...config, deliverErrors: true, onError: 'skip' },
      settings: { valueDeserializer: deserializer },
    })
    const seen: unknown[] = []
    const cursor = stage.perRecord(0, (record, _tp, error) => {
      seen.push([error?.code ?? null, currentTraceId()])
      if (error === null) void record.value
    })
    stage.push(cursor, storedBatch({ baseOffset: 0, values: ['0'], headers: [[['X-Trace-ID', 'a']]] }))
    await withTraceId('of whoever is pumping', () => stage.turn())
    expect(seen).toEqual([
      [null, 'a'],
      ['DESERIALIZATION_FAILED', undefined],
    ])
  })
})

describe('PR-23 trace', () => {
  it('PR-23: the header has the name that is configured', async () => {
    const stage = new SinkStage({ config: { trace: { enabled: true, header: 'x-request' } } })
    const seen: unknown[] = []
    const cursor = stage.perRecord(0, () => void seen.push(currentTraceId()))
    stage.push(
      cursor,
      storedBatch({
        baseOffset: 0,
        values: ['0'],
        headers: [
          [
            ['X-Trace-ID', 'a'],
            ['x-request', 'r'],
          ],
        ],
      }),
    )
    await stage.turn()
    expect(seen).toEqual(['r'])
  })

  it('PR-23: a batch callback runs in no id, since each of its records has its own', async () => {
    const stage = new SinkStage({ config: TRACED })
    const seen: unknown[] = []
    const cursor = stage.perBatch(0, (records) => void seen.push([records.length, currentTraceId()]))
    stage.push(cursor, traced)
    await withTraceId('of whoever is pumping', () => stage.turn())
    expect(seen).toEqual([[4, undefined]])
  })

  it('PR-23: without trace and observer a callback is called as it is', () => {
    const off = resolveConsumerConfig({ logger: silentLogger })
    const callback = () => {}
    expect(wrapsOf(off, null).record(callback)).toBe(callback)
    expect(wrapsOf(off, null).batch(callback)).toBe(callback)
  })
})

/** Notes what it sees around the callback. */
class Notes implements ProcessHook {
  readonly lines: string[] = []

  process<T>(records: readonly ObservedRecord[], run: () => T): T {
    this.lines.push(`> ${records.map(({ topic, partition, offset }) => `${topic}/${partition}@${offset}`).join(' ')}`)
    try {
      const result = run()
      this.lines.push(`< ${result instanceof Promise ? 'promise' : String(result)}`)
      return result
    } catch (error) {
      this.lines.push(`! ${(error as Error).message}`)
      throw error
    }
  }
}

describe('PR-23 hooks around callbacks', () => {
  it('sees each record, what the callback gives, and what it throws', async () => {
    const hooks = new Notes()
    const stage = new SinkStage({ config: { onError: 'skip' }, hooks })
    const cursor = stage.perRecord(0, ({ offset }): CallbackResult => {
      if (offset === 1) return Promise.resolve()
      if (offset === 2) throw new Error('no')
      return true
    })
    stage.push(cursor, 4)
    for (let round = 0; round < 4; round++) await stage.turn()
    expect(hooks.lines).toEqual(['> t/0@0', '< true', '> t/0@1', '< promise', '> t/0@2', '! no', '> t/0@3', '< true'])
    expect(stage.errors.map(({ cause }) => (cause as Error).message)).toEqual(['no'])
    expect(cursor.position).toBe(4)
  })

  it('sees the records of a batch callback together', async () => {
    const hooks = new Notes()
    const stage = new SinkStage({ config: { maxPollRecords: 2 }, hooks })
    stage.push(
      stage.perBatch(0, () => {}),
      3,
    )
    await stage.turn()
    expect(hooks.lines).toEqual(['> t/0@0 t/0@1', '< undefined', '> t/0@2', '< undefined'])
  })

  it('does not see duplicates that are skipped', async () => {
    const hooks = new Notes()
    const stage = new SinkStage({ config: { dedup: { enabled: true } }, hooks })
    stage.push(
      stage.perRecord(0, () => {}),
      storedBatch({ baseOffset: 0, values: ['a', 'a'] }),
    )
    await stage.turn()
    expect(hooks.lines).toEqual(['> t/0@0', '< undefined'])
  })

  it('runs inside the trace id of the record', async () => {
    const seen: unknown[] = []
    const hooks: ProcessHook = {
      process(_records, run) {
        seen.push(currentTraceId())
        return run()
      },
    }
    const stage = new SinkStage({ config: TRACED, hooks })
    stage.push(
      stage.perRecord(0, () => {}),
      traced,
    )
    await stage.turn()
    expect(seen).toEqual(['a', undefined, undefined, 'c'])
  })

  const broken: [string, ProcessHook['process']][] = [
    [
      'throws before the call',
      () => {
        throw new Error('observer')
      },
    ],
    [
      'throws after the call',
      (_records, run) => {
        run()
        throw new Error('observer')
      },
    ],
    ['forgets to call', () => undefined as never],
    [
      'calls twice',
      (_records, run) => {
        run()
        return run()
      },
    ],
    ['gives something else back', () => false as never],
    [
      'swallows what the callback throws',
      (_records, run) => {
        try {
          return run()
        } catch {
          return undefined as never
        }
      },
    ],
  ]
  it.each(broken)(
    'an observer that %s: each record is processed once, and its failure is its own',
    async (_how, process) => {
      const stage = new SinkStage({ config: { onError: 'skip' }, hooks: { process } as ProcessHook })
      const seen: number[] = []
      const cursor = stage.perRecord(0, ({ offset }) => {
        seen.push(offset)
        if (offset === 1) throw new Error('of the record')
      })
      stage.push(cursor, 3)
      for (let round = 0; round < 4; round++) await stage.turn()
      expect(seen).toEqual([0, 1, 2])
      expect(stage.errors.map(({ cause }) => (cause as Error).message)).toEqual(['of the record'])
      expect([cursor.position, stage.stops]).toEqual([3, []])
    },
  )

  it('tells once that an observer throws', () => {
    const warnings: string[] = []
    const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) }
    const hooks: ProcessHook = {
      process() {
        throw new Error('observer')
      },
    }
    const wrapped = wrapsOf(resolveConsumerConfig({ logger }), hooks).record(() => true)
    const call = () => wrapped({} as never, { topic: 't', partition: 0 }, null)
    expect([call(), call()]).toEqual([true, true])
    expect(warnings).toHaveLength(1)
  })

  it('hears what an observer of its own rejects with, and leaves the failure of a callback to who awaits it', async () => {
    const warnings: unknown[] = []
    const logger: Logger = { ...silentLogger, warn: (_message, context) => void warnings.push(context) }
    const wrappedBy = (process: ProcessHook['process']) =>
      wrapsOf(resolveConsumerConfig({ logger }), { process }).record(async ({ offset }) => {
        if (offset === 1) throw new Error('of the record')
      })
    // A promise of its own, as an async function makes one: nobody else hears of its rejection.
    const following = wrappedBy((async (_records: unknown, run: () => unknown) => run()) as ProcessHook['process'])
    await expect(following({ offset: 1 } as never, { topic: 't', partition: 0 }, null)).rejects.toThrow('of the record')
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([])
    const failing = wrappedBy((async (_records: unknown, run: () => unknown) => {
      await run()
      throw new Error('of the observer')
    }) as ProcessHook['process'])
    await failing({ offset: 0 } as never, { topic: 't', partition: 0 }, null)
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings).toEqual([{ error: 'Error: of the observer' }])
  })
})
