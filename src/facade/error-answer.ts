import { type ErrorCode, type ShoalError, toShoalError } from '../errors.ts'
import type { RegistryResource } from '../oci/registry-path.ts'
import { bearerChallenge } from './bearer-challenge.ts'
import type { Exchange } from './exchange.ts'

export interface ErrorAnswer {
  readonly status: number
  /** Of the OCI error body. */
  readonly code: string
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>> | undefined
  /** Name and value in turn. */
  readonly headers: readonly string[]
}

type Kind = RegistryResource['kind']

/**
 * What a client is told of an error: the one place where an error becomes an answer. Chosen for what each client does
 * next: a blob that can not be had now is 404, the one answer that nobody retries here before asking the origin itself;
 * a challenge is handed on only where the client can answer it at the origin's token service.
 */
export function errorAnswer(thrown: unknown, kind: Kind): ErrorAnswer {
  const error = toShoalError(thrown)
  const { oci: code, status } = error.meaning
  if (status === 401) {
    const challenge = bearerChallenge(error.challenge)
    if (challenge === undefined) return answer(error, 404, unknownCode(kind))
    return answer(error, 401, code, ['WWW-Authenticate', challenge])
  }
  if (kind === 'blob' && (status === 502 || status === 503)) return answer(error, 404, 'BLOB_UNKNOWN')
  if (status === 405) return answer(error, 405, code, ['Allow', 'GET, HEAD'])
  if (status === 416) return answer(error, 416, code, ['Content-Range', `bytes */${Number(error.detail?.['size'])}`])
  return answer(error, status, code)
}

function answer(error: ShoalError, status: number, code: string, headers: readonly string[] = []): ErrorAnswer {
  const reason: ErrorCode = error.code
  return { status, code, message: error.message, detail: { reason, ...error.detail }, headers }
}

function unknownCode(kind: Kind): string {
  if (kind === 'blob') return 'BLOB_UNKNOWN'
  return kind === 'manifest' ? 'MANIFEST_UNKNOWN' : 'NAME_UNKNOWN'
}

/** Body: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
export function sendError(exchange: Exchange, { status, code, message, detail, headers }: ErrorAnswer): void {
  const body = Buffer.from(JSON.stringify({ errors: [{ code, message, ...(detail && { detail }) }] }))
  exchange.writeHead(status, ['Content-Type', 'application/json', 'Content-Length', `${body.length}`, ...headers])
  exchange.response.end(exchange.isHead ? undefined : body)
}
