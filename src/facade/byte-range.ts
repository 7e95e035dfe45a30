import type { ByteRange } from '../blob/ports.ts'

export type RequestedRange =
  | { readonly kind: 'full' }
  | { readonly kind: 'ranges'; readonly ranges: readonly [ByteRange, ...ByteRange[]] }
  | { readonly kind: 'unsatisfiable' }

const FULL: RequestedRange = { kind: 'full' }

// containers/storage asks for up to 1024 ranges of a zstd:chunked layer
const MAX_RANGES = 1024

/**
 * `Range` of a GET for something of `size` bytes. What is not understood is ignored, as are ranges that together ask
 * for more than there is.
 * Grammar: https://www.rfc-editor.org/rfc/rfc9110#section-14.1.1 and 14.2
 */
export function parseRange(header: string | undefined, size: number): RequestedRange {
  const set = /^bytes=(.*)$/is.exec(header ?? '')?.[1]
  if (set === undefined) return FULL
  const ranges: ByteRange[] = []
  let specs = 0
  let bytes = 0
  for (const element of set.split(',')) {
    const spec = element.trim()
    if (spec === '') continue
    specs += 1
    const range = parseSpec(spec, size)
    if (range === 'invalid' || specs > MAX_RANGES) return FULL
    if (range === 'unsatisfiable') continue
    ranges.push(range)
    bytes += range.end - range.start
  }
  if (specs === 0) return FULL
  const [first, ...others] = ranges
  if (first === undefined) return { kind: 'unsatisfiable' }
  // `-5` of nothing is satisfiable, but no Content-Range can say so
  if (bytes === 0 || (others.length > 0 && bytes > size)) return FULL
  return { kind: 'ranges', ranges: [first, ...others] }
}

/** `Content-Range` of a 206. */
export function contentRange(range: ByteRange, size: number): string {
  return `bytes ${range.start}-${range.end - 1}/${size}`
}

function parseSpec(spec: string, size: number): ByteRange | 'invalid' | 'unsatisfiable' {
  const [, first, last] = /^(\d*)-(\d*)$/.exec(spec) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'invalid'
  if (first === '') {
    const length = Number(last)
    return length === 0 ? 'unsatisfiable' : { start: Math.max(0, size - length), end: size }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'invalid'
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size : Math.min(size, Number(last) + 1) }
}
