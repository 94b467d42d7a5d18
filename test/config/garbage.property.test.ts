/**
 * Whatever is passed, the answer is a valid configuration or one MQError (CF-3).
 * The judge is not the code under test: a result is checked against the rows of rows.ts, and again by resolving a copy.
 */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ConfigIssue,
  resolveClientConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveProducerConfig,
  resolveProducerUpdate,
} from '../../lib/config/index.js'
import { MQError } from '../../lib/errors/index.js'
import { allClientRows, consumerRows, producerRows, type Row } from './rows.js'

const RUNS = { numRuns: 250 }
const FORMS = {
  whole: { resolve: resolveConfig, rows: allClientRows },
  client: { resolve: resolveClientConfig, rows: allClientRows },
  producer: { resolve: resolveProducerConfig, rows: [...allClientRows, ...producerRows] },
  consumer: { resolve: resolveConsumerConfig, rows: [...allClientRows, ...consumerRows] },
} as const

const at = (config: unknown, path: string) =>
  path.split('.').reduce((value, key) => (value as Record<string, unknown>)[key], config)

type Entries = readonly (readonly [string, unknown])[]

/** A configuration by paths, to be told from garbage that is a list. */
class Fields {
  readonly entries: Entries
  constructor(entries: Entries) {
    this.entries = entries
  }
}

/** Entries become a configuration; anything else stays what it is. */
const configOf = (given: unknown) => (given instanceof Fields ? nest(given.entries) : armed(given))

function nest(entries: Entries): object {
  const root: Record<string, unknown> = {}
  const made = new Set<unknown>() // Values of entries are never stepped into.
  for (const [path, value] of entries) {
    const keys = path.split('.')
    const last = keys.pop() as string
    let inner = root
    for (const key of keys) {
      const next = made.has(inner[key]) ? (inner[key] as Record<string, unknown>) : {}
      inner[key] = next
      made.add(next)
      inner = next
    }
    inner[last] = armed(value)
  }
  return root
}

/** Stands for a trap until a property runs: fast-check itself would step into one. */
const TRAP = 'trap:'
const armed = (value: unknown) =>
  typeof value === 'string' && value.startsWith(TRAP) ? traps[Number(value.slice(TRAP.length))] : value

/** A throw of a kind nobody expects, from where nobody expects it. */
const traps: readonly unknown[] = [
  new Proxy(
    {},
    {
      get: () => {
        throw new RangeError('get')
      },
    },
  ),
  new Proxy(
    {},
    {
      ownKeys: () => {
        throw new RangeError('ownKeys')
      },
    },
  ),
  new Proxy(
    { a: 1 },
    {
      getOwnPropertyDescriptor: () => {
        throw new RangeError('descriptor')
      },
    },
  ),
  new Proxy([1], {
    get: () => {
      throw new RangeError('list')
    },
  }),
  {
    get lingerMs() {
      throw new RangeError('getter')
    },
  },
  {
    toString() {
      throw new RangeError('toString')
    },
    valueOf() {
      throw new RangeError('valueOf')
    },
  },
  revoked(),
  cycle(),
]

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function cycle(): unknown {
  const value: Record<string, unknown> = {}
  value.self = [value]
  return value
}

const anything = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true }),
  fc.constantFrom(...traps.map((_trap, index) => `${TRAP}${index}`)),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0, 2 ** 53, '', '\0', '__proto__', Symbol('s'), () => 1),
)

/** Mostly real names with good, bad and absurd values; some names nobody knows. */
function entriesOf(rows: readonly Row[]): fc.Arbitrary<Fields> {
  const known = fc.constantFrom(...rows).chain((row) => {
    const values = [...row.legal.map((legal) => legal.value), ...row.illegal, row.fallback]
    const names = [row.path, ...row.aliases.map((alias) => alias.path)]
    return fc.tuple(fc.constantFrom(...names), fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...values) }, anything))
  })
  const unknown = fc.tuple(fc.string(), anything)
  return fc
    .array(fc.oneof({ weight: 8, arbitrary: known }, { weight: 1, arbitrary: unknown }), { maxLength: 12 })
    .map((entries) => new Fields(entries))
}

/** Resolves, and tells what is wrong with the answer; undefined when nothing is. */
function judge(form: keyof typeof FORMS, config: unknown): string | undefined {
  const { resolve, rows } = FORMS[form]
  let resolved: object
  try {
    resolved = resolve(config as object)
  } catch (error) {
    return judgeRefusal(error)
  }
  return judgeResolved(resolved, rows) ?? judgeParts(form, resolved)
}

function judgeParts(form: keyof typeof FORMS, resolved: object): string | undefined {
  if (form !== 'whole') return undefined
  const { producer, consumer } = resolved as { producer: object; consumer: object }
  return judgeResolved(producer, FORMS.producer.rows) ?? judgeResolved(consumer, FORMS.consumer.rows)
}

function judgeRefusal(error: unknown): string | undefined {
  if (!(error instanceof MQError)) return `threw ${inspect(error)}`
  if (error.code !== 'INVALID_CONFIG' && error.code !== 'MISSING_CONFIG') return `code ${error.code}`
  const issues = error.context.issues as readonly ConfigIssue[]
  if (issues.length === 0) return 'refused without a finding'
  if (issues.some((issue) => issue.path === '' || issue.expected === '')) return 'a finding without path or expectation'
  structuredClone(error.context)
  JSON.stringify(error)
  return undefined
}

/** A number lies between the extremes of its row, a word is one of the row's. */
function judgeResolved(resolved: object, rows: readonly Row[]): string | undefined {
  if (!Object.isFrozen(resolved)) return 'not frozen'
  JSON.stringify(resolved)
  inspect(resolved)
  for (const row of rows) {
    const value = at(resolved, row.path)
    const legal = row.legal.map((one) => one.value)
    const numbers = legal.filter((one) => typeof one === 'number')
    if (typeof value === 'number' && !(value >= Math.min(...numbers) && value <= Math.max(...numbers))) {
      return `${row.path} is ${value}`
    }
    if (row.illegal.some((bad) => typeof bad !== 'object' && Object.is(bad, value)))
      return `${row.path} is ${String(value)}`
    if (value === undefined && row.fallback !== undefined) return `${row.path} is unset`
  }
  return undefined
}

describe('garbage', () => {
  it.each(Object.keys(FORMS) as (keyof typeof FORMS)[])('CF-3: as a %s gives a valid form or an MQError', (form) => {
    fc.assert(
      fc.property(fc.oneof({ weight: 6, arbitrary: entriesOf(FORMS[form].rows) }, anything), (config) => {
        expect(judge(form, configOf(config))).toBeUndefined()
      }),
      RUNS,
    )
  })
  it('CF-3: in the groups of the whole gives a valid form or an MQError', () => {
    const groups = fc.record(
      {
        producer: entriesOf(FORMS.producer.rows),
        producerConfig: fc.oneof(entriesOf(producerRows), anything),
        consumer: entriesOf(FORMS.consumer.rows),
        consumerConfig: fc.oneof(entriesOf(consumerRows), anything),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(entriesOf(allClientRows), groups, (client, given) => {
        expect(
          judge('whole', {
            ...nest(client.entries),
            ...Object.fromEntries(Object.entries(given).map(([name, value]) => [name, configOf(value)])),
          }),
        ).toBeUndefined()
      }),
      RUNS,
    )
  })
  it('CF-1: what is taken is taken again: a copy of a result resolves to its equal', () => {
    const legal = fc
      .subarray([...allClientRows, ...producerRows], { maxLength: 6 })
      .chain((rows) =>
        fc.tuple(...rows.map((row) => fc.constantFrom(...row.legal).map((one) => [row.path, one.value] as const))),
      )
    let taken = 0
    fc.assert(
      fc.property(legal, (entries) => {
        let resolved: ReturnType<typeof resolveProducerConfig>
        try {
          resolved = resolveProducerConfig(nest(entries))
        } catch (error) {
          expect(judgeRefusal(error)).toBeUndefined()
          return
        }
        taken++
        expect(resolveProducerConfig({ ...resolved })).toEqual(resolved)
      }),
      RUNS,
    )
    expect(taken, 'the property saw results').toBeGreaterThan(RUNS.numRuns / 10)
  })
  it('CF-1: the input is never changed', () => {
    const deepFrozen = <T>(value: T): T => {
      if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
        Object.freeze(value)
        for (const inner of Object.values(value)) deepFrozen(inner)
      }
      return value
    }
    fc.assert(
      fc.property(entriesOf(FORMS.producer.rows), ({ entries }) => {
        const plain = entries.filter(([, value]) => value === armed(value))
        expect(judge('producer', deepFrozen(nest(plain)))).toBeUndefined()
      }),
      { numRuns: 100 },
    )
  })
  it('PR-11: as an update gives a valid producer or an MQError', () => {
    const current = resolveProducerConfig({})
    fc.assert(
      fc.property(fc.oneof({ weight: 4, arbitrary: entriesOf(producerRows) }, anything), (partial) => {
        let updated: object
        try {
          updated = resolveProducerUpdate(current, configOf(partial) as object)
        } catch (error) {
          expect(judgeRefusal(error)).toBeUndefined()
          return
        }
        expect(judgeResolved(updated, FORMS.producer.rows)).toBeUndefined()
      }),
      RUNS,
    )
  })
  it.each(traps.map((trap, index) => [index, trap]))('CF-3: trap %i is refused wherever it stands', (_index, trap) => {
    for (const { path } of [...allClientRows, ...producerRows]) {
      if (path === 'metrics.labels' || path === 'topics') continue // An object without wrong entries is one.
      const code = codeOf(() => resolveProducerConfig(nest([[path, trap]])))
      expect(code, path).toBe('INVALID_CONFIG')
    }
    expect(['INVALID_CONFIG', 'taken']).toContain(codeOf(() => resolveConfig(trap as object)))
    expect(['INVALID_CONFIG', 'taken']).toContain(codeOf(() => resolveConfig({ producer: trap, pool: trap } as object)))
  })
})

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return error instanceof MQError ? error.code : String(error)
  }
  return 'taken'
}
