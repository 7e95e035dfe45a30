const LEVELS: Record<number, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' }
const LEVEL_WIDTH = 5

/** One line of pino's JSON as a line that a person reads: time, level, component, message, fields. */
export function textLine(json: string): string {
  let record: Record<string, unknown>
  try {
    record = JSON.parse(json) as Record<string, unknown>
  } catch {
    return json
  }
  const { time, level, msg, component, ...fields } = record
  const parts = [new Date(Number(time)).toISOString(), (LEVELS[Number(level)] ?? String(level)).padEnd(LEVEL_WIDTH)]
  if (component !== undefined) parts.push(`${formatValue(component)}:`)
  parts.push(typeof msg === 'string' ? msg : '')
  for (const [name, value] of Object.entries(fields)) parts.push(`${name}=${formatValue(value)}`)
  return `${parts.join(' ')}\n`
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? 'undefined'
}
