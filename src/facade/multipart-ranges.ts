import { randomBytes } from 'node:crypto'
import type { ByteRange } from '../blob/ports.ts'
import { contentRange } from './byte-range.ts'

/** A stretch of a body: bytes that come before a range, and the range. */
export interface BodySection {
  readonly preamble: Buffer | undefined
  readonly range: ByteRange
}

/** What a body consists of, in order. */
export interface BodyPlan {
  readonly contentType: string
  readonly length: number
  readonly sections: readonly BodySection[]
}

const EMPTY = { start: 0, end: 0 } as const

export function singlePart(contentType: string, range: ByteRange): BodyPlan {
  return { contentType, length: range.end - range.start, sections: [{ preamble: undefined, range }] }
}

/**
 * Format: https://www.rfc-editor.org/rfc/rfc9110#section-14.6
 * @param contentType of the whole
 * @param size bytes of the whole
 */
export function multipart(contentType: string, ranges: readonly ByteRange[], size: number): BodyPlan {
  const boundary = randomBytes(18).toString('hex')
  const sections: BodySection[] = ranges.map((range, index) => {
    const delimiter = index === 0 ? `--${boundary}` : `\r\n--${boundary}`
    const head = `${delimiter}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`
    return { preamble: Buffer.from(head, 'latin1'), range }
  })
  sections.push({ preamble: Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'), range: EMPTY })
  const length = sections.reduce(
    (sum, { preamble, range }) => sum + (preamble?.length ?? 0) + range.end - range.start,
    0,
  )
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, sections }
}
