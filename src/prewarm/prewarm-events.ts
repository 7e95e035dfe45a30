/** What a prewarm says while it runs: one line of JSON each, for people's programs too. Sizes are bytes. */

export interface PrewarmLayer {
  readonly digest: string
  /** As the manifest states it. */
  readonly size?: number | undefined
}

/** Bytes that came for it, and from where. */
export interface Received {
  readonly fromOrigin: number
  readonly fromPeers: number
}

/** A running image; `layers` are those on their way. */
export interface PrewarmProgress extends Received {
  readonly bytes: number
  readonly totalBytes: number
  readonly bytesPerSecond: number
  readonly layers: readonly (PrewarmLayer & { readonly bytes: number })[]
}

/** `elsewhere`: the manifest says that it is not had from the registry. */
export type LayerOutcome = 'fetched' | 'here' | 'elsewhere' | 'failed'

export type PrewarmEvent =
  /** What belongs to the image, the config among it. */
  | {
      readonly type: 'image'
      readonly image: string
      readonly digest: string
      readonly platforms: readonly string[]
      readonly layers: readonly PrewarmLayer[]
      readonly totalBytes: number
    }
  | ({ readonly type: 'progress'; readonly image: string } & PrewarmProgress)
  | ({
      readonly type: 'layer'
      readonly image: string
      readonly outcome: LayerOutcome
      readonly message?: string
    } & PrewarmLayer &
      Received)
  /** Everything of it is here, or what could be had is. */
  | ({
      readonly type: 'image-done'
      readonly image: string
      readonly ok: boolean
      readonly failedLayers: number
      readonly message?: string
      readonly totalBytes: number
      readonly seconds: number
    } & Received)
  /** Another agent that was asked for the image. */
  | ({
      readonly type: 'host'
      readonly image: string
      readonly peer: string
      readonly address: string
      readonly state: 'running' | 'done' | 'failed'
      readonly bytes: number
      readonly totalBytes: number
      readonly message?: string
    } & Received)
  /** The last line; without it, the prewarm did not come to its end. */
  | {
      readonly type: 'done'
      readonly ok: boolean
      readonly images: number
      readonly failedImages: number
      /** Of these, those that the registry does not have: no other host was asked for them. */
      readonly unknownImages?: number
      readonly hosts: number
      readonly failedHosts: number
    }

export const MAX_HOSTS_AT_ONCE = 256

export interface PrewarmRequest {
  readonly images: readonly string[]
  /** `os/architecture[/variant]`, `all`, or nothing for the platform of each host. */
  readonly platforms: readonly string[]
  /** Ask the other agents too, so many at a time. */
  readonly hosts?: number | undefined
}
