/**
 * One error class with a code, and one table that says what a code means to everybody who has to act on it:
 * the OCI error code and HTTP status for a client, whether trying again may help, and whose fault it is.
 * Rule of the OCI codes: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
 */

type Fault = 'client' | 'local' | 'origin' | 'peer'

interface Meaning {
  readonly oci: string
  readonly status: number
  readonly retryable: boolean
  readonly fault: Fault
}

const MEANINGS = {
  DIGEST_INVALID: { oci: 'DIGEST_INVALID', status: 400, retryable: false, fault: 'client' },
  NAME_INVALID: { oci: 'NAME_INVALID', status: 400, retryable: false, fault: 'client' },
  TAG_INVALID: { oci: 'MANIFEST_INVALID', status: 400, retryable: false, fault: 'client' },
  REQUEST_INVALID: { oci: 'UNSUPPORTED', status: 400, retryable: false, fault: 'client' },
  RANGE_INVALID: { oci: 'RANGE_INVALID', status: 416, retryable: false, fault: 'client' },
  UNSUPPORTED: { oci: 'UNSUPPORTED', status: 405, retryable: false, fault: 'client' },
  PAGE_REFUSED: { oci: 'DENIED', status: 403, retryable: false, fault: 'client' },
  NOT_FOUND: { oci: 'NAME_UNKNOWN', status: 404, retryable: false, fault: 'client' },
  ABORTED: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'client' },

  NAME_UNKNOWN: { oci: 'NAME_UNKNOWN', status: 404, retryable: false, fault: 'origin' },
  MANIFEST_UNKNOWN: { oci: 'MANIFEST_UNKNOWN', status: 404, retryable: false, fault: 'origin' },
  BLOB_UNKNOWN: { oci: 'BLOB_UNKNOWN', status: 404, retryable: false, fault: 'origin' },
  UNAUTHORIZED: { oci: 'UNAUTHORIZED', status: 401, retryable: false, fault: 'origin' },
  DENIED: { oci: 'DENIED', status: 403, retryable: false, fault: 'origin' },
  REGISTRY_NOT_ALLOWED: { oci: 'NAME_UNKNOWN', status: 404, retryable: false, fault: 'client' },
  ADDRESS_NOT_ALLOWED: { oci: 'NAME_UNKNOWN', status: 404, retryable: false, fault: 'client' },
  ORIGIN_UNAVAILABLE: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'origin' },
  ORIGIN_RATE_LIMITED: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'origin' },
  ORIGIN_MISBEHAVED: { oci: 'UNAVAILABLE', status: 502, retryable: true, fault: 'origin' },
  DIGEST_MISMATCH: { oci: 'UNAVAILABLE', status: 502, retryable: true, fault: 'origin' },
  STALLED: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'origin' },

  PEER_UNAVAILABLE: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'peer' },
  PEER_BUSY: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'peer' },
  PEER_PUTS_OFF: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'peer' },
  PEER_CROWDED: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'peer' },
  PEER_LACKS: { oci: 'BLOB_UNKNOWN', status: 404, retryable: false, fault: 'peer' },
  PEER_MISBEHAVED: { oci: 'UNAVAILABLE', status: 502, retryable: false, fault: 'peer' },

  STORE_FULL: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'local' },
  STORE_FAILED: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'local' },
  STORE_LOCKED: { oci: 'UNAVAILABLE', status: 503, retryable: false, fault: 'local' },
  CONFIG_INVALID: { oci: 'UNAVAILABLE', status: 500, retryable: false, fault: 'local' },
  SETUP_REFUSED: { oci: 'UNSUPPORTED', status: 400, retryable: false, fault: 'local' },
  STOPPING: { oci: 'UNAVAILABLE', status: 503, retryable: true, fault: 'local' },
  INTERNAL: { oci: 'UNAVAILABLE', status: 500, retryable: false, fault: 'local' },
} as const satisfies Record<string, Meaning>

export type ErrorCode = keyof typeof MEANINGS

export interface ShoalErrorOptions {
  readonly cause?: unknown
  /** Facts for the log and for the `detail` of an OCI error body; never credentials. */
  readonly detail?: Readonly<Record<string, unknown>>
  /** `WWW-Authenticate` of the origin, to be passed on with a 401. */
  readonly challenge?: string | undefined
}

export class ShoalError extends Error {
  readonly code: ErrorCode
  readonly detail: Readonly<Record<string, unknown>> | undefined
  readonly challenge: string | undefined

  constructor(code: ErrorCode, message: string, options: ShoalErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ShoalError'
    this.code = code
    this.detail = options.detail
    this.challenge = options.challenge
  }

  get meaning(): Meaning {
    return MEANINGS[this.code]
  }
}

/** Whether `error` is ours and, when codes are given, carries one of them. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is ShoalError {
  return error instanceof ShoalError && (codes.length === 0 || codes.includes(error.code))
}

/** The error itself when it is ours, else an INTERNAL error with it as the cause. */
export function toShoalError(error: unknown): ShoalError {
  if (error instanceof ShoalError) return error
  return new ShoalError('INTERNAL', 'unexpected error', { cause: error })
}

/** True when the origin could not be asked: what it said before may stand in for it. */
export function isOutage(error: unknown): boolean {
  return hasCode(error, 'ORIGIN_UNAVAILABLE', 'ORIGIN_RATE_LIMITED', 'ORIGIN_MISBEHAVED', 'STALLED')
}
