const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const STEP = 1024

const FORM = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?$/i
const POWERS = ['', 'k', 'm', 'g', 't', 'p']

/**
 * Bytes of a human size: `512`, `64KiB`, `1.5 GiB` (powers of 1024), `20GB` (powers of 1000).
 * @returns a safe non-negative integer, undefined when the text is no size
 */
export function parseByteSize(text: string): number | undefined {
  const [, digits, letter, binary] = FORM.exec(text.trim()) ?? []
  if (digits === undefined || letter === undefined) return undefined
  if (binary !== '' && letter === '') return undefined
  const step = binary === '' && /b$/i.test(text.trim()) ? 1000 : STEP
  const bytes = Math.round(Number(digits) * step ** POWERS.indexOf(letter.toLowerCase()))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Three significant figures and a unit of 1024: `512 B`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= STEP
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${trimZeros(value.toFixed(digits))} ${UNITS[unit]}`
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}
