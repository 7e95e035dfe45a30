import type { CacheStatus } from '../blob/services.ts'
import type { ErrorCode } from '../errors.ts'
import type { RegistryResource } from '../oci/registry-path.ts'

export type RequestKind = RegistryResource['kind']

/** What the facade reports; `telemetry/metrics` counts it. */
export interface FacadeMetrics {
  /** @param outcome the status, `cut` when the body was not completed, `left` when the client did not wait for it */
  answered(kind: RequestKind, outcome: number | 'cut' | 'left'): void
  /** The request ended with this error, before its answer or within it. */
  failed(kind: RequestKind, code: ErrorCode): void
  /** A manifest was answered without the origin. */
  stale(): void
  firstByte(kind: 'blob' | 'manifest', seconds: number): void
  /** The body is complete; from the request on. */
  lastByte(kind: 'blob' | 'manifest', seconds: number): void
  served(status: CacheStatus, bytes: number): void
}
