import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { streamPair } from '@libp2p/utils'
import type { Abortable } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import type { Member, MemberEvents, Members } from '../../src/swarm/swarm-ports.ts'

interface Key {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** Agents in one process, with streams in memory and real signatures. Everybody can reach everybody. */
export class FakeSwarm {
  readonly keys = new Map<string, Key>()
  readonly agents = new Map<string, FakeMembers>()

  agent(): FakeMembers {
    const key = generateKeyPairSync('ed25519')
    const id = createHash('sha256')
      .update(key.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url')
    this.keys.set(id, key)
    const members = new FakeMembers(this, id)
    this.agents.set(id, members)
    return members
  }
}

export class FakeMembers implements Members {
  readonly self: string
  readonly connected = new Map<string, Member>()
  readonly disconnects: string[] = []
  /** Ids that cannot be connected to. */
  readonly unreachable = new Set<string>()
  connects = 0
  verifications = 0
  readonly #swarm: FakeSwarm
  readonly #events = new Set<MemberEvents>()
  readonly handlers = new Map<string, (stream: Stream, member: Member) => void>()
  readonly #streams = new Map<string, Set<Stream>>()

  constructor(swarm: FakeSwarm, id: string) {
    this.#swarm = swarm
    this.self = id
  }

  get member(): Member {
    return { id: this.self, lane: undefined, zone: '', version: '0', clockOffsetMs: 0, address: 'memory' }
  }

  get key(): Key {
    const key = this.#swarm.keys.get(this.self)
    if (key === undefined) throw new Error('no key')
    return key
  }

  get subscribers(): number {
    return this.#events.size
  }

  byFingerprint(): Member | undefined {
    return undefined
  }

  async connect(id: string): Promise<Member> {
    const known = this.connected.get(id)
    if (known !== undefined) return known
    this.connects += 1
    await Promise.resolve()
    const other = this.#swarm.agents.get(id)
    if (other === undefined || this.unreachable.has(id)) throw new ShoalError('PEER_UNAVAILABLE', 'no such agent')
    this.join(other)
    return other.member
  }

  /** Connects both without delay. */
  join(other: FakeMembers): void {
    if (this.connected.has(other.self)) return
    this.connected.set(other.self, other.member)
    other.connected.set(this.self, this.member)
    for (const events of this.#events) events.joined(other.member)
    for (const events of other.#events) events.joined(this.member)
  }

  async disconnect(id: string): Promise<void> {
    this.disconnects.push(id)
    this.forget(id)
    this.#swarm.agents.get(id)?.forget(this.self)
  }

  /** The connection is gone, seen from this side. */
  forget(id: string): void {
    const member = this.connected.get(id)
    if (member === undefined) return
    this.connected.delete(id)
    for (const stream of this.#streams.get(id) ?? []) stream.abort(new Error('disconnected'))
    this.#streams.delete(id)
    for (const events of this.#events) events.left(member)
  }

  subscribe(events: MemberEvents): () => void {
    this.#events.add(events)
    return () => this.#events.delete(events)
  }

  async openStream(id: string, protocol: string, { signal }: Abortable): Promise<Stream> {
    signal.throwIfAborted()
    const other = this.#swarm.agents.get(id)
    const handler = other?.handlers.get(protocol)
    if (other === undefined || handler === undefined || !this.connected.has(id)) {
      throw new ShoalError('PEER_UNAVAILABLE', 'not connected')
    }
    const [outgoing, incoming] = await streamPair({ protocol })
    this.#keep(id, outgoing)
    other.#keep(this.self, incoming)
    handler(incoming, this.member)
    return outgoing
  }

  #keep(id: string, stream: Stream): void {
    const streams = this.#streams.get(id) ?? new Set()
    this.#streams.set(id, streams.add(stream))
    stream.addEventListener('close', () => streams.delete(stream))
  }

  outgoing(id: string): Stream[] {
    return [...(this.#streams.get(id) ?? [])].filter(({ direction }) => direction === 'outbound')
  }

  incoming(id: string): Stream[] {
    return [...(this.#streams.get(id) ?? [])].filter(({ direction }) => direction === 'inbound')
  }

  /** As if the other ends had reset them. */
  breakStreams(): void {
    for (const streams of this.#streams.values()) for (const stream of streams) stream.abort(new Error('broken'))
  }

  handle(protocol: string, handler: (stream: Stream, member: Member) => void): void {
    this.handlers.set(protocol, handler)
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return sign(null, bytes, this.key.privateKey)
  }

  async verify(signer: string, bytes: Uint8Array, signature: Uint8Array): Promise<boolean> {
    this.verifications += 1
    const key = this.#swarm.keys.get(signer)
    return key !== undefined && verify(null, bytes, key.publicKey, signature)
  }
}
