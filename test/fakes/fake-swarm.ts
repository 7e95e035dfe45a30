import { createHash } from 'node:crypto'
import { chunkEnd, chunkStart, planChunks } from '../../src/blob/chunk-plan.ts'
import type {
  BlobSwarm,
  ChunkHash,
  ChunkStatement,
  Conduct,
  Lease,
  LeaseAsk,
  PeerSource,
  SeenTag,
  Swarm,
  SwarmEvents,
} from '../../src/blob/ports.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { FakeSource, type Faults } from './fake-source.ts'

/** A peer that a test decides about: what it has, what it sends, what it did. */
export class FakePeer extends FakeSource implements PeerSource {
  declare readonly kind: 'peer'
  /** Chunks that it says it has; undefined for all. */
  chunks: Set<number> | undefined
  readonly conduct: Conduct[] = []
  #size: number

  constructor(
    id: string,
    bytes: Buffer,
    given: { chunks?: Iterable<number>; size?: number; faults?: Partial<Faults> } = {},
  ) {
    super({ kind: 'peer', id, bytes, faults: given.faults ?? {} })
    this.chunks = given.chunks && new Set(given.chunks)
    this.#size = given.size ?? bytes.length
  }

  get size(): number {
    return this.#size
  }

  has(index: number): boolean {
    return this.chunks?.has(index) ?? true
  }

  get bits(): Uint8Array {
    const bits = new Uint8Array(Math.ceil(planChunks(this.size).count / 8))
    for (let index = 0; index < 8 * bits.length; index++) {
      if (this.has(index)) bits[index >>> 3] = (bits[index >>> 3] ?? 0) | (1 << (index & 7))
    }
    return bits
  }

  report(conduct: Conduct): void {
    this.conduct.push(conduct)
  }

  get faultsFound(): Conduct['type'][] {
    return this.conduct.map(({ type }) => type).filter((type) => type !== 'delivered')
  }
}

/** What a transfer told the swarm of one blob, and a way to tell it something. */
export class FakeBlobSwarm implements BlobSwarm {
  readonly events: SwarmEvents
  readonly told: number[] = []
  readonly claims: ReadonlyMap<number, ChunkHash>[] = []
  readonly asks: LeaseAsk[] = []
  settled: { hashes: readonly ChunkHash[]; statements: readonly ChunkStatement[] } | undefined
  hasLeft = false

  readonly #grants: (ask: LeaseAsk) => Lease | undefined

  constructor(events: SwarmEvents, grants: (ask: LeaseAsk) => Lease | undefined) {
    this.events = events
    this.#grants = grants
  }

  has(indexes: readonly number[]): void {
    this.told.push(...indexes)
  }

  claim(hashes: ReadonlyMap<number, ChunkHash>): void {
    this.claims.push(hashes)
  }

  lease(ask: LeaseAsk): void {
    this.asks.push(ask)
    const lease = this.#grants(ask)
    if (lease !== undefined) queueMicrotask(() => this.events.leased(lease))
  }

  settle(hashes: readonly ChunkHash[], statements: readonly ChunkStatement[]): void {
    this.settled = { hashes, statements }
  }

  leave(): void {
    this.hasLeft = true
  }
}

/** A swarm in memory: every transfer finds the peers and statements that were put in before, and later ones as they come. */
export class FakeSwarm implements Swarm {
  hasPeers = true
  peerCount = 1
  readonly joined: FakeBlobSwarm[] = []
  readonly announced: Digest[] = []
  readonly peers: FakePeer[] = []
  readonly statements: ChunkStatement[] = []
  readonly tags = new Map<string, SeenTag>()
  /** How long the first search takes. */
  searchMs = 0
  /** What an ask for leases is given: all of it, unless a test says otherwise; undefined: no answer. */
  grants: (ask: LeaseAsk) => Lease | undefined = ({ gaps }) => ({ ranges: gaps, forMs: 60_000, members: 2 })

  join(_blob: { readonly digest: Digest; readonly registry: string }, events: SwarmEvents): FakeBlobSwarm {
    const blob = new FakeBlobSwarm(events, (ask) => this.grants(ask))
    this.joined.push(blob)
    queueMicrotask(() => {
      for (const statement of this.statements) events.stated(statement)
      for (const peer of this.peers) events.found(peer)
      if (this.searchMs === 0) events.searched()
      else setTimeout(() => events.searched(), this.searchMs)
    })
    return blob
  }

  add(peer: FakePeer, ...statements: ChunkStatement[]): void {
    this.statements.push(...statements)
    this.peers.push(peer)
    for (const { events } of this.joined) {
      for (const statement of statements) events.stated(statement)
      events.found(peer)
    }
  }

  /** The last transfer that joined. */
  get last(): FakeBlobSwarm {
    const last = this.joined.at(-1)
    if (last === undefined) throw new Error('nobody has joined')
    return last
  }

  announce(digest: Digest): void {
    this.announced.push(digest)
  }

  async fetchSmall({ digest, maxBytes }: { digest: Digest; maxBytes: number }): Promise<Buffer | undefined> {
    return this.peers
      .map(({ bytes }) => bytes)
      .find((bytes) => bytes.length <= maxBytes && digestOfBytes(bytes) === digest)
  }

  announceTag(): void {}

  async findTag({ registry, name }: { registry: string; name: string }, tag: string): Promise<SeenTag | undefined> {
    return this.tags.get(`${registry}/${name}:${tag}`)
  }

  async findAdmission(): Promise<number | undefined> {
    return undefined
  }

  async findLink(): Promise<boolean> {
    return false
  }

  async hasBlob({ digest }: { digest: Digest }): Promise<boolean> {
    return this.peers.some((peer) => peer.chunks === undefined && digestOfBytes(peer.bytes) === digest)
  }
}

export function digestOfBytes(bytes: Buffer): Digest {
  return digestOf('sha256', hashOfBytes(bytes))
}

/** Hashes of all chunks. */
export function chunkHashesOf(bytes: Buffer): ChunkHash[] {
  const plan = planChunks(bytes.length)
  return Array.from({ length: plan.count }, (_, index) =>
    hashOfBytes(bytes.subarray(chunkStart(plan, index), chunkEnd(plan, index))),
  )
}

/** What `signer` states about a blob whose bytes it takes for `bytes`: all chunks, or only some. */
export function statementOf(
  signer: string,
  digest: Digest,
  bytes: Buffer,
  given: { only?: Iterable<number>; size?: number } = {},
): ChunkStatement {
  const all = new Map(chunkHashesOf(bytes).entries())
  const only = given.only && new Set(given.only)
  return {
    kind: only === undefined ? 'map' : 'claim',
    digest,
    size: given.size ?? bytes.length,
    signer,
    hashes: only === undefined ? all : new Map([...all].filter(([index]) => only.has(index))),
    encoded: Buffer.from(`statement of ${signer}`),
  }
}

/** A copy with one byte changed in each of these chunks. @param mask other masks make other lies */
export function falsified(bytes: Buffer, chunks: Iterable<number>, mask = 0xff): Buffer {
  const copy = Buffer.from(bytes)
  const plan = planChunks(bytes.length)
  for (const index of chunks) copy[chunkStart(plan, index)] = (copy[chunkStart(plan, index)] ?? 0) ^ mask
  return copy
}

function hashOfBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
