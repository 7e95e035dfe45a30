const UNITS: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 }

/** Bits per second of a rate as `tc` writes it: `50mbit`, `2.5gbit`; undefined when the text is none, or zero. */
export function parseBitRate(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([kmg]?bit)$/.exec(text.trim().toLowerCase()) ?? []
  const rate = Math.round(Number(digits) * (UNITS[unit] ?? Number.NaN))
  return rate > 0 && Number.isSafeInteger(rate) ? rate : undefined
}
