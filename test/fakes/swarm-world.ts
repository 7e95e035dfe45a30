import { setImmediate as turn } from 'node:timers/promises'
import type { BlobSwarm, ChunkStatement, Lease, PeerSource } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { frame } from '../../src/swarm/encoding/frames.ts'
import { SWARM_PROTOCOL } from '../../src/swarm/protocol/swarm-protocol.ts'
import { encodeMessage, type WireMessage } from '../../src/swarm/protocol/wire-messages.ts'
import { SwarmDirectory } from '../../src/swarm/swarm-directory.ts'
import { noSwarmMetrics } from '../../src/swarm/swarm-metrics.ts'
import type { Lane, LaneAnswer, LaneRequest, ProviderDirectory } from '../../src/swarm/swarm-ports.ts'
import { PeerLedger } from '../../src/swarm/trust/peer-ledger.ts'
import { FakeContent, type TestBlob } from './fake-content.ts'
import { type FakeMembers, FakeSwarm } from './fake-members.ts'
import { recordingLog, silentLog } from './silent-log.ts'

export const REGISTRY = 'r'

/** Agents whose swarm parts are real, on a network, a directory and a lane in memory. */
export class SwarmWorld {
  readonly swarm = new FakeSwarm()
  readonly agents = new Map<string, WorldAgent>()
  readonly providers = new Map<Digest, Set<string>>()
  now = 1_700_000_000_000

  agent(options: { readonly shareTags?: boolean } = {}): WorldAgent {
    const agent = new WorldAgent(this, this.swarm.agent(), options.shareTags ?? true)
    this.agents.set(agent.id, agent)
    return agent
  }

  /** Agents that are all connected. */
  connected(count: number): WorldAgent[] {
    const agents = Array.from({ length: count }, () => this.agent())
    for (const one of agents) for (const other of agents) if (one !== other) one.members.join(other.members)
    return agents
  }

  stop(): void {
    for (const { directory } of this.agents.values()) directory.stop()
  }
}

export class WorldAgent implements Lane, ProviderDirectory {
  readonly id: string
  readonly members: FakeMembers
  readonly content = new FakeContent()
  readonly ledger: PeerLedger
  readonly directory: SwarmDirectory
  /** What the lane gives is wrong. */
  isCorrupt = false
  /** What its lane was asked. */
  readonly requests: LaneRequest[] = []
  readonly lookups: Digest[] = []
  readonly #world: SwarmWorld
  readonly #log = recordingLog()

  constructor(world: SwarmWorld, members: FakeMembers, shareTags: boolean) {
    this.#world = world
    this.id = members.self
    this.members = members
    const clock = (): number => world.now
    this.ledger = new PeerLedger({ clock, log: silentLog, metrics: noSwarmMetrics }, { file: undefined })
    this.directory = new SwarmDirectory(
      {
        members,
        directory: this,
        lane: this,
        content: this.content,
        ledger: this.ledger,
        metrics: noSwarmMetrics,
        clock,
        log: this.#log.log,
      },
      { shareTags },
    )
    this.directory.start()
  }

  get warnings(): string[] {
    return this.#log.entries.filter(({ level }) => level === 'warn').map(({ message }) => message)
  }

  async *find(key: Digest): AsyncGenerator<string, void, void> {
    this.lookups.push(key)
    await turn()
    for (const peer of this.#world.providers.get(key) ?? []) if (peer !== this.id) yield peer
  }

  announce(key: Digest): void {
    this.#world.providers.set(key, (this.#world.providers.get(key) ?? new Set()).add(this.id))
  }

  withdraw(key: Digest): void {
    this.#world.providers.get(key)?.delete(this.id)
  }

  prepare(): void {}

  async fetch(peer: string, request: LaneRequest, { signal }: { signal: AbortSignal }): Promise<LaneAnswer> {
    await turn()
    signal.throwIfAborted()
    const server = this.#world.agents.get(peer)
    server?.requests.push(request)
    const share = server?.content.shares.get(request.digest)
    if (share?.registry !== request.registry) throw new ShoalError('PEER_LACKS', 'not here')
    const { start, end } = request.range ?? { start: 0, end: share.blob.bytes.length }
    const bytes = Buffer.from(share.blob.bytes.subarray(start, end))
    if (server?.isCorrupt === true) bytes[0] = (bytes[0] ?? 0) ^ 0xff
    return {
      totalSize: share.blob.bytes.length,
      bytes: (async function* () {
        yield bytes
        await turn()
        signal.throwIfAborted()
      })(),
    }
  }

  join(blob: TestBlob, registry = REGISTRY): Joined {
    return new Joined(this.directory, blob.digest, registry)
  }

  /** Says things to another agent that its own protocol never would. */
  async rawStream(
    other: WorldAgent,
  ): Promise<{ send(message: WireMessage): void; sendBytes(bytes: Uint8Array): void; isClosed(): boolean }> {
    const stream = await this.members.openStream(other.id, SWARM_PROTOCOL, { signal: AbortSignal.timeout(1_000) })
    return {
      send: (message) => {
        stream.send(frame(encodeMessage(message)))
      },
      sendBytes: (bytes) => {
        stream.send(bytes)
      },
      isClosed: () => stream.status !== 'open',
    }
  }
}

/** A membership that keeps what it is told. */
export class Joined {
  readonly blob: BlobSwarm
  readonly events: string[] = []
  readonly peers = new Map<string, PeerSource>()
  readonly statements: ChunkStatement[] = []
  readonly banned: string[] = []
  readonly leases: Lease[] = []
  searches = 0

  constructor(directory: SwarmDirectory, digest: Digest, registry: string) {
    this.blob = directory.join(
      { digest, registry },
      {
        found: (peer) => {
          this.events.push(`found ${peer.id}`)
          this.peers.set(peer.id, peer)
        },
        gained: (peer) => this.events.push(`gained ${peer.id}`),
        left: (peer) => {
          this.events.push(`left ${peer.id}`)
          this.peers.delete(peer.id)
        },
        stated: (statement) => {
          this.events.push(`stated ${statement.kind} ${statement.signer}`)
          this.statements.push(statement)
        },
        banned: (signer) => {
          this.events.push(`banned ${signer}`)
          this.banned.push(signer)
        },
        leased: (lease) => {
          this.leases.push(lease)
        },
        searched: () => {
          this.searches += 1
        },
      },
    )
  }

  chunksOf(agent: WorldAgent): number[] {
    const peer = this.peers.get(agent.id)
    return peer === undefined ? [] : Array.from({ length: 64 }, (_, index) => index).filter((index) => peer.has(index))
  }
}
