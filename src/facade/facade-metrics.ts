import type { CacheStatus } from '../blob/services.ts'
import type { RegistryResource } from '../oci/registry-path.ts'

export type RequestKind = RegistryResource['kind']

/** What the facade reports; `telemetry/metrics` counts it. */
export interface FacadeMetrics {
  /** @param outcome the status, `cut` when the body was not completed, `left` when the client did not wait for it */
  answered(kind: RequestKind, outcome: number | 'cut' | 'left'): void
  firstByte(kind: 'blob' | 'manifest', seconds: number): void
  served(status: CacheStatus, bytes: number): void
}
