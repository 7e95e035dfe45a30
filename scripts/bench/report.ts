export interface Row {
  readonly measure: string
  readonly shoal: string
  readonly against: string
  readonly result: string
  readonly goal: string
  readonly isMet: boolean
}

export function printTable(rows: readonly Row[]): void {
  const head = ['measure', 'Shoal', 'against', 'result', 'goal', '']
  const lines = rows.map((row) => [
    row.measure,
    row.shoal,
    row.against,
    row.result,
    row.goal,
    row.isMet ? 'met' : 'MISSED',
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)))
  const print = (cells: readonly string[]): void =>
    console.log(`| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
  print(head)
  print(widths.map((width) => '-'.repeat(width)))
  for (const line of lines) print(line)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  if (value === undefined) throw new Error('no values')
  return value
}

export function megabytesPerSecond(bytes: number, ms: number): number {
  return bytes / 1000 / ms
}

export function span(values: readonly number[], digits: number): string {
  const shown = [Math.min(...values), median(values), Math.max(...values)].map((value) => value.toFixed(digits))
  return `${shown[1]} (${shown[0]}–${shown[2]})`
}
