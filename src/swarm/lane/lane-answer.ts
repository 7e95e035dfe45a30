import { ShoalError } from '../../errors.ts'
import type { LaneRequest } from '../swarm-ports.ts'
import { CROWDED_HEADER, parseContentRange } from './lane-protocol.ts'

/** Head of an answer of a peer, read but not believed. */
export interface LaneHead {
  readonly status: number
  /** Names in lower case; each name stood there once. */
  readonly headers: ReadonlyMap<string, string>
}

/** What an answer says about its body, found to be what was asked for. */
export interface LaneBody {
  readonly totalSize: number
  readonly length: number
  /** The peer closes the connection after this body. */
  readonly isLast: boolean
}

const STATUS_LINE = /^HTTP\/1\.1 ([2-5]\d\d)(?: [\t\x20-\x7e]*)?$/
const HEADER_LINE = /^([!#$%&'*+.^`|~\w-]+):[ \t]*([\t\x20-\x7e]*)$/
const DEFAULT_RETRY_MS = 1_000
const MAX_RETRY_MS = 60_000

/**
 * A subset of https://www.rfc-editor.org/rfc/rfc9112#section-4: no continued lines, no name twice, no interim answers.
 * @param text without the empty line at the end
 * @returns undefined for what is no head of an answer
 */
export function parseLaneHead(text: string): LaneHead | undefined {
  const [first = '', ...lines] = text.split('\r\n')
  const status = STATUS_LINE.exec(first)?.[1]
  if (status === undefined) return undefined
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = HEADER_LINE.exec(line) ?? []
    if (name === undefined || value === undefined || headers.has(name.toLowerCase())) return undefined
    headers.set(name.toLowerCase(), value.trimEnd())
  }
  return { status: Number(status), headers }
}

/**
 * The body that is to come.
 * @throws ShoalError PEER_LACKS, PEER_BUSY, PEER_CROWDED, PEER_PUTS_OFF, PEER_UNAVAILABLE, PEER_MISBEHAVED
 */
export function readLaneHead(peer: string, head: LaneHead, request: LaneRequest): LaneBody {
  const { status, headers } = head
  if (status !== 200 && status !== 206) throw refusal(peer, head)
  const length = numberOf(headers.get('content-length'))
  if (length === undefined || headers.has('transfer-encoding') || headers.has('content-encoding')) {
    throw misbehaved(peer, 'the peer sends a body of unknown length or form')
  }
  const isLast = headers.get('connection')?.toLowerCase() === 'close'
  const { range } = request
  if (status === 200) {
    if (headers.has('content-range') || (range !== undefined && !(range.start === 0 && range.end === length))) {
      throw misbehaved(peer, 'the peer sends another range than was asked for')
    }
    return { totalSize: length, length, isLast }
  }
  const given = parseContentRange(headers.get('content-range') ?? '')
  if (range === undefined || given?.range.start !== range.start || given.range.end !== range.end) {
    throw misbehaved(peer, 'the peer sends another range than was asked for')
  }
  if (length !== range.end - range.start) throw misbehaved(peer, 'the length of the body is not that of its range')
  return { totalSize: given.size, length, isLast }
}

export function misbehaved(peer: string, message: string): ShoalError {
  return new ShoalError('PEER_MISBEHAVED', message, { detail: { peer } })
}

export function unavailable(peer: string, message: string, cause?: unknown): ShoalError {
  return new ShoalError('PEER_UNAVAILABLE', message, { cause, detail: { peer } })
}

/** The reason of the signal when it is ours, else ABORTED. */
export function aborted({ reason }: AbortSignal): ShoalError {
  if (reason instanceof ShoalError) return reason
  return new ShoalError('ABORTED', 'the request to the peer is not needed any more', { cause: reason })
}

function refusal(peer: string, { status, headers }: LaneHead): ShoalError {
  const detail = { peer, status }
  switch (status) {
    case 404:
    case 409:
      return new ShoalError('PEER_LACKS', 'the peer does not have it', { detail })
    case 429:
    case 503: {
      if (headers.get(CROWDED_HEADER) === 'peer')
        return new ShoalError('PEER_PUTS_OFF', 'the peer serves others before', { detail })
      if (headers.has(CROWDED_HEADER))
        return new ShoalError('PEER_CROWDED', 'the peer gives this to others just now', { detail })
      const seconds = numberOf(headers.get('retry-after'))
      const retryAfterMs = Math.min(MAX_RETRY_MS, seconds === undefined ? DEFAULT_RETRY_MS : seconds * 1_000)
      return new ShoalError('PEER_BUSY', 'the peer is busy', { detail: { ...detail, retryAfterMs } })
    }
    case 403:
    case 500:
      return new ShoalError('PEER_UNAVAILABLE', 'the peer could not answer', { detail })
    default:
      return new ShoalError('PEER_MISBEHAVED', 'the peer answered what a lane never does', { detail })
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}
