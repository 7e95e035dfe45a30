import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { metricsDocument } from '../../../scripts/metrics/metrics-document.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { labelValues } from '../../fixtures/metric-values.ts'
import { readPromql } from '../../fixtures/promql.ts'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[]
}

interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

const root = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const { tree } = new Metrics({ version: '' })
const dashboard = JSON.parse(read('config/grafana/shoal.json')) as Dashboard
const { groups } = parse(read('config/prometheus/alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)

/** What Prometheus adds to each sample, and `up`. */
const SCRAPED = ['job', 'instance']
const known = new Map<string, readonly string[]>([['up', []]])
for (const { name, type, labels } of tree) {
  if (type !== 'histogram') known.set(name, labels)
  else {
    known.set(`${name}_bucket`, [...labels, 'le'])
    known.set(`${name}_sum`, labels)
    known.set(`${name}_count`, labels)
  }
}

const values = await labelValues()

/** What the expression asks for and the code does not have. */
function unknownIn(expression: string): string[] {
  const selected = readPromql(expression)
  const metrics = selected.filter(({ metric }) => metric !== '')
  const problems: string[] = metrics.length === 0 ? ['asks for nothing'] : []
  const all = new Set(SCRAPED)
  for (const { metric, labels, values: wanted } of metrics) {
    const own = known.get(metric)
    if (own === undefined) problems.push(metric)
    for (const label of own ?? []) all.add(label)
    for (const label of labels) if (![...SCRAPED, ...(own ?? [])].includes(label)) problems.push(`${metric}{${label}}`)
    for (const { label, value } of wanted) {
      if (own?.includes(label) === true && values.get(`${metric}{${label}}`)?.has(value) !== true)
        problems.push(`${metric}{${label}="${value}"}`)
    }
  }
  const grouped = selected.filter(({ metric }) => metric === '').flatMap(({ labels }) => labels)
  return [...problems, ...grouped.filter((label) => !all.has(label)).map((label) => `by (${label})`)]
}

describe('docs/metrics.md', () => {
  it('is what the code generates: run `node scripts/metrics-table.ts`', () => {
    expect(read('docs/metrics.md')).toBe(metricsDocument(tree))
  })
})

describe('the metric tree', () => {
  const own = tree.filter(({ name }) => name.startsWith('shoal_'))

  it('names counters _total and nothing else so, and durations and sizes by their unit', () => {
    const wrong = own.filter(({ name, type }) => (type === 'counter') !== name.endsWith('_total'))
    expect(wrong).toEqual([])
    expect(own.filter(({ name, type }) => type === 'histogram' && !name.endsWith('_seconds'))).toEqual([])
  })

  it('has no label that could have many values', () => {
    const labels = new Set(own.flatMap((metric) => metric.labels))
    const few = 'asked code direction kind level node outcome reason source type version via'.split(' ')
    expect([...labels].sort()).toEqual(few)
  })
})

describe('the dashboard', () => {
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')

  it.each(panels.map((panel) => [panel.title, panel] as const))('asks in "%s" for what there is', (_, panel) => {
    expect(panel.targets?.length).toBeGreaterThan(0)
    for (const { expr } of panel.targets ?? []) expect(unknownIn(expr)).toEqual([])
    const ids = (panel.targets ?? []).map(({ refId }) => refId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('has panels with ids and titles of their own, which do not overlap', () => {
    const { length } = dashboard.panels
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(length)
    expect(new Set(dashboard.panels.map(({ title }) => title)).size).toBe(length)
    const taken = new Set<string>()
    for (const { title, gridPos } of dashboard.panels) {
      expect({ title, end: Math.max(24, gridPos.x + gridPos.w) }).toEqual({ title, end: 24 })
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect({ title, isTaken: taken.has(`${x} ${y}`) }).toEqual({ title, isTaken: false })
          taken.add(`${x} ${y}`)
        }
    }
  })

  it('chooses agents by labels that there are', () => {
    const queries = dashboard.templating.list.flatMap(({ definition }) => definition ?? [])
    expect(queries.length).toBe(2)
    for (const query of queries) {
      const [, metric = '', label = ''] = /^label_values\((\w+)(?:\{[^}]*\})?, (\w+)\)$/.exec(query) ?? []
      expect(known.has(metric)).toBe(true)
      expect(SCRAPED).toContain(label)
    }
  })
})

describe('the alert rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('ask in %s for what there is', (_, rule) => {
    expect(unknownIn(rule.expr)).toEqual([])
    expect(rule.annotations.summary).toMatch(/\.$/)
    expect(rule.annotations.description).toMatch(/\.$/)
    expect(['info', 'warning', 'critical']).toContain(rule.labels.severity)
    expect(rule.for ?? '1m').toMatch(/^\d+m$/)
  })

  it('have names of their own', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })
})

describe('the check of expressions', () => {
  it.each([
    ['sum(rate(shoal_gone_total[5m]))', 'shoal_gone_total'],
    ['sum(rate(shoal_received_bytes_total{repository="a"}[5m]))', 'shoal_received_bytes_total{repository}'],
    ['sum by (peer) (shoal_swarm_peers)', 'by (peer)'],
    ['sum by (le) (shoal_swarm_peers)', 'by (le)'],
    ['shoal_transfer_seconds', 'shoal_transfer_seconds'],
    ['shoal_received_bytes_total{source="store"}', 'shoal_received_bytes_total{source="store"}'],
    ['shoal_origin_requests_total{outcome!~"2xx|fail"}', 'shoal_origin_requests_total{outcome="fail"}'],
    ['shoal_facade_failures_total{code="BLOB_UNKNOW"}', 'shoal_facade_failures_total{code="BLOB_UNKNOW"}'],
    ['shoal_lane_connections{direction="both"}', 'shoal_lane_connections{direction="both"}'],
  ])('finds what is wrong with %s', (expression, problem) => {
    expect(unknownIn(expression)).toEqual([problem])
  })

  it.each([
    'sum(rate(shoal_received_bytes_total[5m])',
    'sum(shoal_swarm_peers))',
    'shoal_swarm_peers{job="a"',
    'shoal_swarm_peers{job=a}',
    'rate(shoal_received_bytes_total[5 minutes])',
    'summ(shoal_swarm_peers)',
    'shoal_swarm_peers{job=~"["}',
    'shoal_swarm_peers # comment',
  ])('refuses %s', (expression) => {
    expect(() => unknownIn(expression)).toThrow()
  })
})
