import type { MetricDescription } from '../../src/telemetry/metrics.ts'

const HEAD = `# Metrics

<!-- Written by scripts/metrics-table.ts from the code; a test compares the two. -->

\`/metrics\` of the admin listener (\`admin.listen\`, 127.0.0.1:5053 unless configured) gives these in Prometheus' text format. Counters begin at 0 with the
process. No label ever holds a digest, a repository, a registry or a peer. A histogram \`x\` is seen as \`x_bucket\` (with the label \`le\`), \`x_sum\` and \`x_count\`.

\`config/grafana/shoal.json\` is a dashboard over them, \`config/prometheus/alerts.yaml\` holds rules for alerts; both name the job \`shoal\`.

## Shoal
`

const PROCESS = `
## The process

As Prometheus' client for Node gives them, on Linux; what they mean stands beside them at \`/metrics\`.
`

/** Where the name alone does not say it. */
const UNITS: Readonly<Record<string, string>> = {
  shoal_build_info: '',
  shoal_ready: '0 or 1',
  shoal_store_writable: '0 or 1',
}

/** The metric tree as a page in Markdown. */
export function metricsDocument(tree: readonly MetricDescription[]): string {
  const own = tree.filter(({ name }) => name.startsWith('shoal_'))
  const others = tree.filter(({ name }) => !name.startsWith('shoal_'))
  const columns = ['name', 'type', 'labels', 'unit']
  const meaning = ({ help }: MetricDescription): string[] => [help]
  return `${HEAD}\n${table([...columns, 'meaning'], own, meaning)}${PROCESS}\n${table(columns, others, () => [])}`
}

function table(
  columns: readonly string[],
  metrics: readonly MetricDescription[],
  more: (metric: MetricDescription) => string[],
): string {
  const rows = metrics.map((metric) => {
    const labels = metric.labels.map((label) => `\`${label}\``).join(', ')
    return [`\`${metric.name}\``, metric.type, labels, unitOf(metric.name), ...more(metric)]
  })
  rows.sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
  const lines = [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`)
  return `${lines.join('\n')}\n`
}

function unitOf(name: string): string {
  const known = UNITS[name]
  if (known !== undefined) return known
  if (/_bytes(_total)?$/.test(name)) return 'bytes'
  if (/_seconds(_total)?$/.test(name)) return 'seconds'
  if (name.includes('_utilization_')) return '0 to 1'
  return name.endsWith('_info') ? '' : 'count'
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')
}
