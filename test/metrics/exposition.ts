/**
 * A strict reader of Prometheus' text format 0.0.4 and of OpenMetrics 1.0.0: throws with the offending line.
 * Written from the two format descriptions, so that what we expose is judged by something that did not write it.
 */
export interface ParsedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ParsedFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: ParsedSample[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const SUFFIXES: Record<string, readonly string[]> = { histogram: ['_bucket', '_sum', '_count'], gauge: [''] }

export type Format = 'text' | 'openMetrics'

export function parseExposition(text: string, format: Format): Map<string, ParsedFamily> {
  const families = new Map<string, ParsedFamily>()
  const seen = new Set<string>()
  let current: ParsedFamily | null = null
  let helped: { name: string; help: string } | null = null
  for (const line of linesOf(text, format)) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment
      if (kind === 'HELP') {
        if (families.has(name) || helped !== null) throw new Error(`HELP twice or out of place: ${line}`)
        helped = { name, help: unescaped(rest, false) }
        continue
      }
      if (helped?.name !== name) throw new Error(`TYPE without its HELP: ${line}`)
      if (!['counter', 'gauge', 'histogram'].includes(rest)) throw new Error(`unknown type: ${line}`)
      if (format === 'openMetrics' && rest === 'counter' && name.endsWith('_total')) {
        throw new Error(`an OpenMetrics counter is named without _total: ${line}`)
      }
      current = { name, type: rest, help: helped.help, samples: [] }
      families.set(name, current)
      helped = null
      continue
    }
    if (line.startsWith('#')) throw new Error(`a comment that is neither HELP nor TYPE: ${line}`)
    if (current === null || helped !== null) throw new Error(`a sample before its TYPE: ${line}`)
    const sample = sampleOf(line)
    const suffixes = current.type === 'counter' ? [format === 'openMetrics' ? '_total' : ''] : SUFFIXES[current.type]
    if (!suffixes?.some((suffix) => sample.name === `${current?.name}${suffix}`)) {
      throw new Error(`not a sample of ${current.type} ${current.name}: ${line}`)
    }
    const key = keyOf(sample.name, sample.labels)
    if (seen.has(key)) throw new Error(`the same labels twice: ${line}`)
    seen.add(key)
    current.samples.push(sample)
  }
  if (helped !== null) throw new Error(`HELP without TYPE: ${helped.name}`)
  for (const family of families.values()) check(family)
  return families
}

/** The value of one sample; throws if there is none. */
export function sampleValue(text: string, name: string, labels: Record<string, string> = {}): number {
  const value = findSample(text, name, labels)
  if (value === undefined) throw new Error(`no sample ${keyOf(name, labels)} in\n${text}`)
  return value
}

export function findSample(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const samples = [...parseExposition(text, 'text').values()].flatMap((family) => family.samples)
  return samples.find((sample) => keyOf(sample.name, sample.labels) === keyOf(name, labels))?.value
}

export function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${name}${JSON.stringify(pairs)}`
}

function linesOf(text: string, format: Format): string[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const lines = text.slice(0, -1).split('\n')
  if (format === 'text') return lines.filter((line) => line !== '')
  if (lines.pop() !== '# EOF') throw new Error('OpenMetrics ends with # EOF')
  if (lines.includes('')) throw new Error('OpenMetrics has no empty lines')
  return lines
}

function sampleOf(line: string): ParsedSample {
  const name = NAME.exec(line)?.[0]
  if (name === undefined) throw new Error(`no metric name: ${line}`)
  let rest = line.slice(name.length)
  const labels: Record<string, string> = {}
  if (rest.startsWith('{')) {
    rest = rest.slice(1)
    while (!rest.startsWith('}')) {
      const label = LABEL.exec(rest)?.[0]
      if (label === undefined || rest[label.length] !== '=' || rest[label.length + 1] !== '"') {
        throw new Error(`a label that is none: ${line}`)
      }
      const quoted = /^"((?:[^"\\\n]|\\[\\"n])*)"/.exec(rest.slice(label.length + 1))
      if (quoted === null) throw new Error(`a label value that does not end or is not escaped: ${line}`)
      if (Object.hasOwn(labels, label)) throw new Error(`the label ${label} twice: ${line}`)
      labels[label] = unescaped(quoted[1] as string, true)
      rest = rest.slice(label.length + 1 + quoted[0].length)
      if (rest.startsWith(',')) rest = rest.slice(1)
      else if (!rest.startsWith('}')) throw new Error(`labels without comma: ${line}`)
    }
    rest = rest.slice(1)
  }
  if (!rest.startsWith(' ')) throw new Error(`no blank before the value: ${line}`)
  return { name, labels, value: numberOf(rest.slice(1), line) }
}

function numberOf(text: string, line: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  if (!NUMBER.test(text)) throw new Error(`not a number: ${line}`)
  return Number(text)
}

function unescaped(text: string, isLabel: boolean): string {
  return text.replace(isLabel ? /\\([\\"n])/g : /\\([\\n])/g, (_all, char: string) => (char === 'n' ? '\n' : char))
}

/** Buckets rise with their bounds, the last is +Inf and equals _count; counters are not negative. */
function check(family: ParsedFamily): void {
  if (family.type === 'counter') {
    for (const { value } of family.samples) if (!(value >= 0)) throw new Error(`${family.name}: a counter of ${value}`)
  }
  if (family.type !== 'histogram') return
  const groups = new Map<string, ParsedSample[]>()
  for (const sample of family.samples) {
    const { le: _le, ...labels } = sample.labels
    const key = keyOf('', labels)
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  for (const [key, samples] of groups) {
    const of = (suffix: string) => samples.filter(({ name }) => name === `${family.name}${suffix}`)
    const buckets = of('_bucket').map(({ labels, value }) => ({ le: numberOf(labels.le ?? '', key), value }))
    const [sum, count] = [of('_sum'), of('_count')]
    if (sum.length !== 1 || count.length !== 1) throw new Error(`${family.name}${key}: one _sum and one _count`)
    for (const [at, bucket] of buckets.entries()) {
      const before = buckets[at - 1]
      if (before !== undefined && !(bucket.le > before.le)) throw new Error(`${family.name}${key}: bounds fall`)
      if (before !== undefined && bucket.value < before.value) throw new Error(`${family.name}${key}: counts fall`)
    }
    const last = buckets.at(-1)
    if (last?.le !== Number.POSITIVE_INFINITY) throw new Error(`${family.name}${key}: no +Inf`)
    if (last.value !== count[0]?.value) throw new Error(`${family.name}${key}: +Inf is not _count`)
  }
}
