/** What the parts of the swarm need of each other. */
import type { Stream } from '@libp2p/interface'
import type { Abortable, AskOptions, ByteRange } from '../blob/ports.ts'
import type { Digest } from '../oci/digest.ts'
import type { HostPort } from '../util/host-port.ts'

/** Another agent, after both have proved that they belong to this swarm. */
export interface Member {
  /** libp2p peer id, as text. */
  readonly id: string
  /** Undefined: it has no lane of its own, only the stream protocol. */
  readonly lane: MemberLane | undefined
  readonly zone: string
  /** Version of Shoal. */
  readonly version: string
  /** Milliseconds that its clock was ahead of ours at the handshake; negative: behind. */
  readonly clockOffsetMs: number
  /** Address of the connection's other end, for people. */
  readonly address: string
}

export interface MemberLane {
  /** SHA-256 of its certificate (DER), lower-case hex, as told over the authenticated connection. */
  readonly fingerprint: string
  /** To be tried in this order. */
  readonly addresses: readonly HostPort[]
}

/** What this agent tells of itself at each handshake. */
export interface OwnLane {
  readonly fingerprint: string
  /** 0: no lane is open. */
  readonly port: number
  /** IP addresses under which the lane can be reached, where the operator names them; else the one the connection comes from. */
  readonly hosts: readonly string[]
}

export interface MemberEvents {
  joined(member: Member): void
  /** Its last connection is gone. */
  left(member: Member): void
}

/** The agents of this swarm that this one is connected with. Implemented by `SwarmNode`. */
export interface Members {
  /** This agent's own id. */
  readonly self: string
  /** By id. */
  readonly connected: ReadonlyMap<string, Member>
  /**
   * The member with this lane certificate, connected now or within the last minutes.
   * @param id that the certificate names: its word counts before that of others who told the same fingerprint
   */
  byFingerprint(fingerprint: string, id?: string): Member | undefined
  /** Connects if need be. @throws ShoalError PEER_UNAVAILABLE */
  connect(id: string, options: Abortable): Promise<Member>
  /** Closes what is open to it; nothing new is opened while `isBanned` says so. */
  disconnect(id: string): Promise<void>
  /** @returns a function that ends it */
  subscribe(events: MemberEvents): () => void
  /** @throws ShoalError PEER_UNAVAILABLE */
  openStream(id: string, protocol: string, options: Abortable): Promise<Stream>
  /** The handler owns the stream. Call before `start`. */
  handle(protocol: string, handler: (stream: Stream, member: Member) => void): void
  /** Signs with this agent's identity. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
  /** Whether `signer`, a peer id, signed the bytes. False for what is no peer id of a kind that carries its key. */
  verify(signer: string, bytes: Uint8Array, signature: Uint8Array): Promise<boolean>
}

export interface FindOptions extends Abortable {
  /** A quick look takes few messages, and may miss some while agents come and go. */
  readonly isQuick?: boolean
}

/** What is announced and looked up in the DHT: a blob by its digest, or a tag by a digest of its name. */
export interface ProviderDirectory {
  /** Ids of peers that announced the key, as they are found, without this agent. Ends when the search does; never throws. */
  find(key: Digest, options: FindOptions): AsyncIterable<string>
  /** Announces it soon, and again before the record expires, until it is withdrawn. */
  announce(key: Digest): void
  withdraw(key: Digest): void
}

/** What a lane carries besides bytes of blobs. */
export interface LaneRequest {
  readonly digest: Digest
  /** In whose name it is asked. */
  readonly registry: string
  /** Undefined: all of it. */
  readonly range: ByteRange | undefined
}

export interface LaneAnswer {
  /** Bytes of the whole blob, as the peer says. */
  readonly totalSize: number
  /** Exactly the bytes of the range, else an error. Ending the iteration early closes the connection. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/** Asks peers for bytes. Implemented by `LaneClient`. */
export interface Lane {
  /** The peer is about to be asked: a connection is opened meanwhile if there is none. */
  prepare(peer: string): void
  /** @throws ShoalError PEER_LACKS, PEER_BUSY, PEER_CROWDED, PEER_PUTS_OFF, PEER_UNAVAILABLE, PEER_MISBEHAVED */
  fetch(peer: string, request: LaneRequest, options: AskOptions): Promise<LaneAnswer>
}

/** Why a peer is shut out. */
export interface Ban {
  readonly peer: string
  readonly reason: 'false-map' | 'false-claim' | 'wrong-bytes' | 'protocol'
  /** Milliseconds since the epoch. */
  readonly since: number
  readonly until: number
  /** Another agent showed the proof; else it was found here. */
  readonly fromPeer: string | undefined
}
