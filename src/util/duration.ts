const PARTS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** The two largest units of a duration: `2 d 3 h`, `4 min 5 s`, `320 ms`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.max(0, Math.round(milliseconds))} ms`
  let rest = Math.round(milliseconds / 1_000)
  const shown: string[] = []
  for (const [name, seconds] of PARTS) {
    const count = Math.floor(rest / seconds)
    rest -= count * seconds
    if (count > 0) shown.push(`${count} ${name}`)
    else if (shown.length > 0) break
    if (shown.length === 2) break
  }
  return shown.join(' ')
}

const FORM = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)$/
const UNIT_MS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a human duration: `500ms`, `30s`, `5m`, `1.5h`, `7d`; undefined when the text is none. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit] = FORM.exec(text.trim()) ?? []
  const unitMs = unit === undefined ? undefined : UNIT_MS[unit]
  return unitMs === undefined ? undefined : Math.round(Number(digits) * unitMs)
}
