/**
 * Every query of the Grafana dashboard, of the alert rules and of API.md names series this version has, with labels they
 * have: a dashboard that shows nothing is found here and not in the night it is needed.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SERIES } from '../../lib/metrics/series-table.js'
import { ROOT, read, tableRows } from '../docs/markdown.js'

const PREFIX = 'tandem_mq_'
/** Labels that Prometheus adds, and those of histogram buckets. */
const ADDED = ['instance', 'job', 'le']

interface Panel {
  readonly title: string
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
}
const dashboard = JSON.parse(readFileSync(join(ROOT, 'docker/grafana/dashboards/tandem-mq.json'), 'utf8')) as {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly query: { readonly query: string } }[] }
}

/** What is wrong with a query; empty when each name is a series and each label one of them has. */
function problemsOf(expr: string): string[] {
  const names = [...expr.matchAll(/\b[a-z_]+\b(?=[{[\s)]|$)/g)]
    .map(([name]) => name)
    .filter((name) => name.startsWith(PREFIX))
  if (names.length === 0) return [`${expr}: no series of ours`]
  const rows = names.map((name) => [name, rowOf(name)] as const)
  const unknown = rows.filter(([, row]) => row === undefined).map(([name]) => `${expr}: there is no series ${name}`)
  const labels = new Set([...ADDED, ...rows.flatMap(([, row]) => row?.labels ?? [])])
  const used = [
    ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((label) => label.trim())),
    ...[...expr.matchAll(/([a-z_]+)(?==~?"|!=")/g)].map(([label]) => label),
  ]
  const wrong = used.filter((label) => !labels.has(label)).map((label) => `${expr}: no label ${label}`)
  return [...unknown, ...wrong]
}

/** A histogram is queried by its parts. */
function rowOf(name: string) {
  const plain = name.slice(PREFIX.length)
  return SERIES.find((row) =>
    row.type === 'histogram'
      ? [`${row.name}_bucket`, `${row.name}_sum`, `${row.name}_count`].includes(plain)
      : row.name === plain,
  )
}

const queries = dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const))

describe('the dashboard of docker/grafana', () => {
  it('finds what is wrong with a query', () => {
    expect(problemsOf('rate(tandem_mq_nothing_total[1m])')).toHaveLength(1)
    expect(problemsOf('sum by (colour) (tandem_mq_in_flight_batches)')).toHaveLength(1)
    expect(problemsOf('tandem_mq_produce_latency_seconds')).toHaveLength(1)
    expect(problemsOf('up')).toHaveLength(1)
  })

  it.each(queries)('ME-2: %s: %s', (_title, expr) => {
    expect(problemsOf(expr)).toEqual([])
  })

  it('ME-2: shows in legends only labels that the query keeps', () => {
    for (const { targets } of dashboard.panels) {
      for (const { expr, legendFormat } of targets) {
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          const kept = /\bby \(([^)]*)\)/.exec(expr)?.[1]
          const labels = kept === undefined ? problemLabels(expr) : kept.split(',').map((one) => one.trim())
          expect(labels, `${expr}: ${legendFormat}`).toContain(label)
        }
      }
    }
  })

  it('ME-2: fills its list of instances from a series that is always there', () => {
    for (const { query } of dashboard.templating.list) {
      expect(rowOf(/\((\w+),/.exec(query.query)?.[1] ?? '')?.room).toBe('core')
    }
  })

  it('has room for each panel of its own', () => {
    const places = dashboard.panels.map((panel) => JSON.stringify((panel as unknown as { gridPos: object }).gridPos))
    expect(new Set(places).size).toBe(places.length)
  })
})

function problemLabels(expr: string): readonly string[] {
  const name = [...expr.matchAll(/\btandem_mq_[a-z_]+/g)][0]?.[0] ?? ''
  return [...ADDED, ...(rowOf(name)?.labels ?? [])]
}

describe('the alert rules of docker/prometheus', () => {
  const rules = [...readFileSync(join(ROOT, 'docker/prometheus/alerts.yml'), 'utf8').matchAll(/expr: (.*)/g)]

  it('has rules', () => {
    expect(rules.length).toBeGreaterThan(3)
  })

  it.each(rules.map(([, expr = '']) => [expr]))('ME-2: %s', (expr) => {
    expect(problemsOf(expr)).toEqual([])
  })
})

describe('API.md', () => {
  it('ME-2: names the queries of the specification, which work', () => {
    const text = read('API.md')
    for (const query of [
      'rate(tandem_mq_write_counts_total[1m])',
      'tandem_mq_active_channel_data_sizes > 1e6',
      'histogram_quantile(0.99, sum(rate(tandem_mq_switch_latency_bucket[5m])) by (le))',
    ]) {
      expect(text).toContain(query)
      expect(problemsOf(query)).toEqual([])
    }
  })
})

describe('docs/wal.md', () => {
  const rows = tableRows(read('docs/wal.md'), 'question')

  it('has queries', () => {
    expect(rows.length).toBeGreaterThan(5)
  })

  it.each(rows.map(([, cell = '']) => [cell.replaceAll('`', '')]))('ME-2: %s', (query) => {
    expect(problemsOf(query)).toEqual([])
  })
})
