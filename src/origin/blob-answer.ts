import { contentLength, type HttpAnswer, header } from './http-exchange.ts'
import { misbehaved } from './origin-failure.ts'

/** What an answer to a request for bytes of a blob holds. */
export interface BlobAnswer {
  readonly answer: HttpAnswer
  /** Bytes of the body before the first one that was asked for. */
  readonly skip: number
  /** Position in the blob at which the body ends, if it is known. */
  readonly bodyEnd: number | undefined
  readonly totalSize: number | undefined
  readonly version: BlobVersion
}

/** By what a change of the blob between two answers would show. */
interface BlobVersion {
  readonly host: string
  /** Strong entity tag. */
  readonly etag: string | undefined
  readonly digest: string | undefined
}

// https://www.rfc-editor.org/rfc/rfc9110#section-14.4
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i

/**
 * @param asked the Range that was sent, undefined for none
 * @throws ShoalError ORIGIN_MISBEHAVED when the answer is none to what was asked
 */
export function readBlobAnswer(
  registry: string,
  answer: HttpAnswer,
  asked: { readonly start: number } | undefined,
): BlobAnswer {
  const start = asked?.start ?? 0
  const length = contentLength(answer)
  const etag = header(answer, 'etag')
  const version = {
    host: answer.url.host,
    etag: etag?.startsWith('"') === true ? etag : undefined,
    digest: header(answer, 'docker-content-digest'),
  }
  if (answer.status === 200) {
    if (length !== undefined && length < start) throw misbehaved(registry, 'blob is shorter than before')
    return { answer, skip: start, bodyEnd: length, totalSize: length, version }
  }
  const range = CONTENT_RANGE.exec(header(answer, 'content-range') ?? '')
  if (asked === undefined || range === null) throw misbehaved(registry, 'partial answer without a usable Content-Range')
  const first = Number(range[1])
  const bodyEnd = Number(range[2]) + 1
  const totalSize = range[3] === '*' ? undefined : Number(range[3])
  const fits = bodyEnd > first && bodyEnd <= (totalSize ?? Infinity) && (length ?? bodyEnd - first) === bodyEnd - first
  if (first !== start || !fits) throw misbehaved(registry, 'partial answer of another range than asked')
  return { answer, skip: 0, bodyEnd, totalSize, version }
}

/** @throws ShoalError ORIGIN_MISBEHAVED when the two answers cannot be about the same bytes */
export function assertSameBlob(registry: string, one: BlobAnswer, other: BlobAnswer): void {
  const differ = (a: unknown, b: unknown): boolean => a !== undefined && b !== undefined && a !== b
  const sameHost = one.version.host === other.version.host
  if (
    differ(one.totalSize, other.totalSize) ||
    differ(one.version.digest, other.version.digest) ||
    (sameHost && differ(one.version.etag, other.version.etag))
  ) {
    throw misbehaved(registry, 'blob changed while it was read')
  }
}
