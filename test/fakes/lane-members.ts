import type { Stream } from '@libp2p/interface'
import { ShoalError } from '../../src/errors.ts'
import type { Member, MemberEvents, MemberLane, Members } from '../../src/swarm/swarm-ports.ts'

type Needed = 'connected' | 'byFingerprint' | 'connect' | 'openStream' | 'handle' | 'subscribe'

/** Members that a test names. Streams come from where the test says. */
export class LaneMembers implements Pick<Members, Needed> {
  readonly connected = new Map<string, Member>()
  readonly handlers = new Map<string, (stream: Stream, member: Member) => void>()
  streams: ((id: string, protocol: string, signal: AbortSignal) => Promise<Stream>) | undefined
  streamsAsked = 0
  readonly #events = new Set<MemberEvents>()

  add(id: string, lane: MemberLane | undefined): Member {
    const member = { id, lane, zone: '', version: '0', clockOffsetMs: 0, address: 'test' }
    this.connected.set(id, member)
    for (const events of this.#events) events.joined(member)
    return member
  }

  remove(id: string): void {
    const member = this.connected.get(id)
    if (member === undefined) return
    this.connected.delete(id)
    for (const events of this.#events) events.left(member)
  }

  byFingerprint(fingerprint: string, id?: string): Member | undefined {
    const same = [...this.connected.values()].filter(({ lane }) => lane?.fingerprint === fingerprint)
    return same.find((member) => member.id === id) ?? same[0]
  }

  async connect(id: string): Promise<Member> {
    const member = this.connected.get(id)
    if (member === undefined) throw new ShoalError('PEER_UNAVAILABLE', 'no such peer', { detail: { peer: id } })
    return member
  }

  async openStream(id: string, protocol: string, { signal }: { signal: AbortSignal }): Promise<Stream> {
    this.streamsAsked += 1
    if (this.streams === undefined) throw new ShoalError('PEER_UNAVAILABLE', 'no stream', { detail: { peer: id } })
    return await this.streams(id, protocol, signal)
  }

  handle(protocol: string, handler: (stream: Stream, member: Member) => void): void {
    this.handlers.set(protocol, handler)
  }

  subscribe(events: MemberEvents): () => void {
    this.#events.add(events)
    return () => this.#events.delete(events)
  }
}
