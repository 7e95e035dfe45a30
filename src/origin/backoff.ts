import { setTimeout as delay } from 'node:timers/promises'
import type { Abortable } from '../blob/ports.ts'
import { OriginFailure, toAborted } from './origin-failure.ts'

export interface Backoff {
  /** Milliseconds before the second try. */
  readonly baseMs: number
  /** How much longer each further wait is. */
  readonly factor: number
}

/**
 * Milliseconds to wait after the given number of failures in a row: the exponential delay with its upper half random,
 * or what the origin asked for when that is longer.
 */
export function backoffMs(backoff: Backoff, failures: number, error: unknown, random = Math.random()): number {
  const own = backoff.baseMs * backoff.factor ** (failures - 1) * (0.5 + random / 2)
  const asked = error instanceof OriginFailure ? (error.retryAfterMs ?? 0) : 0
  return Math.max(own, asked)
}

/** @throws ShoalError ABORTED */
export async function wait(ms: number, { signal }: Abortable): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {
    throw toAborted(signal)
  })
}
