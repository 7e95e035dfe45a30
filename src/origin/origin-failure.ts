import { type ErrorCode, ShoalError, type ShoalErrorOptions } from '../errors.ts'

interface FailureFacts extends ShoalErrorOptions {
  /** Whether the same request may be sent again. */
  readonly again?: boolean
  /** How long the origin wants to be left alone, milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** No connection came about: the whole host counts as down. */
  readonly unreachable?: boolean
  /** Status of the answer, when there was one. */
  readonly status?: number | undefined
  /** The registry sent the request on to another host, and that one refused it. */
  readonly refusedElsewhere?: boolean
}

/** An origin's failure, with what the retry policy has to know. */
export class OriginFailure extends ShoalError {
  readonly again: boolean
  readonly retryAfterMs: number | undefined
  readonly unreachable: boolean
  readonly status: number | undefined
  readonly refusedElsewhere: boolean

  constructor(code: ErrorCode, message: string, facts: FailureFacts = {}) {
    super(code, message, facts)
    this.again = facts.again ?? false
    this.retryAfterMs = facts.retryAfterMs
    this.unreachable = facts.unreachable ?? false
    this.status = facts.status
    this.refusedElsewhere = facts.refusedElsewhere ?? false
  }

  /** The same failure when it says nothing about whether the registry itself can be reached. */
  elsewhere(again = this.again): OriginFailure {
    const { detail = {}, challenge, retryAfterMs, status } = this
    return new OriginFailure(this.code, this.message, { cause: this, detail, challenge, retryAfterMs, again, status })
  }
}

export function misbehaved(registry: string, what: string, facts: FailureFacts = {}): OriginFailure {
  return new OriginFailure('ORIGIN_MISBEHAVED', `${registry}: ${what}`, { ...facts, detail: { registry } })
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_PRX_CONN',
])
const TOO_LARGE = 'UND_ERR_HEADERS_OVERFLOW'
const TLS_TRUST = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO$|UND_ERR_PRX_TLS$)/
const SILENT = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** What an error of the connection means; ours pass through. The signal's abort is never an origin's failure. */
export function toOriginFailure(registry: string, error: unknown, signal: AbortSignal): ShoalError {
  if (signal.aborted) return toAborted(signal)
  if (error instanceof ShoalError) return error
  const code = codeOf(error)
  const facts = { cause: error, detail: { registry, code } }
  if (code === TOO_LARGE) return misbehaved(registry, 'sends too large headers', { cause: error })
  // undici's word for a request that it will not send, and for a proxy that wants to be paid attention to first (407).
  if (code === 'UND_ERR_INVALID_ARG') {
    return new OriginFailure('ORIGIN_UNAVAILABLE', `${registry}: request could not be made`, facts)
  }
  if (TLS_TRUST.test(code)) {
    return new OriginFailure('ORIGIN_UNAVAILABLE', `${registry}: no trusted connection (${code})`, {
      ...facts,
      unreachable: true,
    })
  }
  if (UNREACHABLE.has(code)) {
    return new OriginFailure('ORIGIN_UNAVAILABLE', `${registry}: cannot be reached (${code})`, {
      ...facts,
      again: true,
      unreachable: true,
    })
  }
  const what = SILENT.has(code) ? 'does not answer in time' : 'connection broke off'
  return new OriginFailure('ORIGIN_UNAVAILABLE', `${registry}: ${what} (${code})`, { ...facts, again: true })
}

/** Whether the head of an answer did not come in time. */
export function isAnswerTimeout(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === 'UND_ERR_HEADERS_TIMEOUT'
}

/** A host that was silent before did not answer now either; it is not asked once more. */
export function silent(registry: string, cause: unknown): OriginFailure {
  return new OriginFailure('ORIGIN_UNAVAILABLE', `${registry}: does not answer, nor did it just before`, {
    cause,
    detail: { registry },
  })
}

/** The reason when it is ours, else ABORTED with it as the cause. */
export function toAborted(signal: AbortSignal): ShoalError {
  const reason: unknown = signal.reason
  return reason instanceof ShoalError ? reason : new ShoalError('ABORTED', 'request was given up', { cause: reason })
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.cause instanceof Error ? codeOf(error.cause) : error.name
}
