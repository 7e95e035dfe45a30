import type { ErrorCode, ShoalError } from '../errors.ts'
import { chooseChallenge, formatChallenge, parseChallenges } from './challenge.ts'
import type { HttpAnswer } from './http-exchange.ts'
import { misbehaved, OriginFailure } from './origin-failure.ts'
import { parseRetryAfter } from './retry-after.ts'

/** What was asked for, and so what a 404 means. */
export type Asked = 'manifest' | 'blob' | 'name'

const UNKNOWN: Record<Asked, ErrorCode> = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  name: 'NAME_UNKNOWN',
}

/** A longer wait than this is not worth it: give up and let the caller look elsewhere. */
const MAX_RETRY_AFTER_MS = 5_000

/** What an answer other than 200 or 206 means. */
export function statusFailure(registry: string, asked: Asked, answer: HttpAnswer, now: number): OriginFailure {
  const { status } = answer
  const detail = { registry, status }
  // Another host than the registry has no say in who may pull: most likely its signed URL has expired.
  if (answer.redirected && (status === 400 || status === 401 || status === 403)) {
    const message = `${registry}: redirect target refuses (${status})`
    return new OriginFailure('ORIGIN_UNAVAILABLE', message, { detail, status, again: true, refusedElsewhere: true })
  }
  if (status === 401) {
    const challenge = chooseChallenge(parseChallenges(answer.headers['www-authenticate']))
    return new OriginFailure('UNAUTHORIZED', `${registry}: authentication required`, {
      detail,
      status,
      // A Basic challenge would make clients hand a password to this agent.
      challenge: challenge?.scheme === 'bearer' ? formatChallenge(challenge) : undefined,
    })
  }
  if (status === 403 || status === 451) {
    return new OriginFailure('DENIED', `${registry}: access denied`, { detail, status })
  }
  if (status === 404 || status === 410) {
    return new OriginFailure(UNKNOWN[asked], `${registry}: ${asked} unknown`, { detail, status })
  }
  if (status === 429 || status === 408 || status >= 500) {
    const code = status === 429 ? 'ORIGIN_RATE_LIMITED' : 'ORIGIN_UNAVAILABLE'
    const retryAfter = answer.headers['retry-after']
    const retryAfterMs = parseRetryAfter(typeof retryAfter === 'string' ? retryAfter : undefined, now)
    const again = status !== 501 && (retryAfterMs ?? 0) <= MAX_RETRY_AFTER_MS
    return new OriginFailure(code, `${registry}: answered ${status}`, { detail, status, again, retryAfterMs })
  }
  return misbehaved(registry, `answered ${status}`, { status })
}

/** What an answer of a token endpoint other than 200 means. */
export function tokenFailure(registry: string, answer: HttpAnswer, now: number): ShoalError {
  const { status } = answer
  // RFC 6749 §5.2: an invalid refresh token is a 400.
  if (status === 400 || status === 401 || status === 403) {
    const detail = { registry, status }
    return new OriginFailure('UNAUTHORIZED', `${registry}: token refused (${status})`, { detail, status })
  }
  if (status < 500 && status !== 429 && status !== 408) return misbehaved(registry, `token endpoint answered ${status}`)
  return statusFailure(registry, 'name', answer, now)
}
