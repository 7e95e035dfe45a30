import type { Abortable } from '../blob/ports.ts'

export interface FleetImage {
  readonly registry: string
  readonly name: string
  /** A tag or a digest. */
  readonly reference: string
  /** As `PrewarmRequest`. */
  readonly platforms: readonly string[]
}

/** Bytes, as the other agent says. */
export interface HostProgress {
  readonly bytes: number
  readonly totalBytes: number
  readonly fromOrigin: number
  readonly fromPeers: number
}

export interface HostEnd extends HostProgress {
  readonly ok: boolean
  /** Why not. */
  readonly message: string | undefined
}

/** The other agents, as a prewarm needs them. `swarm/fleet-prewarm` is one. */
export interface Fleet {
  /** Those that can be asked now. */
  hosts(): readonly { readonly id: string; readonly address: string }[]
  /** @throws ShoalError PEER_UNAVAILABLE, PEER_BUSY, PEER_MISBEHAVED, DENIED */
  ask(id: string, image: FleetImage, onProgress: (progress: HostProgress) => void, options: Abortable): Promise<HostEnd>
}
