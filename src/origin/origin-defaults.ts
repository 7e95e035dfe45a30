import type { Backoff } from './backoff.ts'
import type { ProxySettings } from './origin-pool.ts'

/** How patient the origin client is. All times are milliseconds. */
export interface OriginLimits {
  /** To a connection, with DNS and TLS. */
  readonly connectMs: number
  /**
   * From the request to the headers of the answer. No client has a limit of its own that helps: on a registry that takes the connection and
   * says nothing each was seen to wait for minutes, and docker's next pull joins the one that hangs. So this is what ends
   * it; a host that was silent so long is then waited for less (`SilentHosts`), since a client asks more than once before it leaves.
   */
  readonly firstByteMs: number
  /** The same, of a host that was silent just now: as long as where an earlier answer could stand in. */
  readonly silentMs: number
  /** Between two parts of a body. */
  readonly stallMs: number
  /** Per host, once for bodies and once for everything else. */
  readonly connectionsPerHost: number
  /** Times that a question is asked. */
  readonly tries: number
  readonly backoff: Backoff
  /** No further try of a question begins after this. */
  readonly retryWindowMs: number
  /** Requests in a row for the rest of a body that may bring nothing. */
  readonly resumeTries: number
  readonly resumeBackoff: Backoff
  /** For how long a host that could not be reached is not asked again. */
  readonly outageMs: number
  readonly proxy: ProxySettings
}

export const ORIGIN_DEFAULTS: OriginLimits = {
  connectMs: 5_000,
  firstByteMs: 30_000,
  silentMs: 10_000,
  stallMs: 30_000,
  connectionsPerHost: 16,
  tries: 3,
  backoff: { baseMs: 200, factor: 3 },
  retryWindowMs: 35_000,
  resumeTries: 4,
  // Its last wait is longer than an outage counts, so that one of the tries is a real one.
  resumeBackoff: { baseMs: 100, factor: 5 },
  outageMs: 2_000,
  proxy: { http: '', https: '', no: '' },
}
