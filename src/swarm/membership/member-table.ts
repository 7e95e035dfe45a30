/**
 * Who is a member and connected, and who was until a few minutes ago. A member is there as long as one connection is.
 * Of two hellos of one peer the one of the newest connection counts. Written by `SwarmNode` only.
 */
import { isIP } from 'node:net'
import type { Clock } from '../../util/clock.ts'
import { formatHostPort } from '../../util/host-port.ts'
import type { Logger } from '../../util/logger.ts'
import type { Member, MemberEvents } from '../swarm-ports.ts'
import type { Hello } from './hello.ts'
import type { Admitted } from './membership-encrypter.ts'
import { parseMultiaddr } from './peer-address.ts'
import type { SwarmKey } from './swarm-secret.ts'

/** A request on the lane may come while its peer is connecting anew. */
const REMEMBERED_MS = 5 * 60_000
const MAX_REMEMBERED = 1024
/** Proved peers whose connection libp2p has not finished yet: more than it has under way at once. */
const MAX_PENDING = 1024

interface Pending {
  readonly id: string
  readonly hello: Hello
  readonly key: SwarmKey
  readonly clockOffsetMs: number
}

export class MemberTable {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #pending = new Map<string, Pending>()
  readonly #connected = new Map<string, Member>()
  readonly #connections = new Map<string, Set<string>>()
  /** By which secret a connection was proved, by its id. */
  readonly #keys = new Map<string, SwarmKey>()
  readonly #byFingerprint = new Map<string, Member>()
  /** By id, in the order they left. */
  readonly #left = new Map<string, { readonly member: Member; readonly at: number }>()
  readonly #subscribers = new Set<MemberEvents>()

  constructor(components: { clock: Clock; log: Logger }) {
    this.#clock = components.clock
    this.#log = components.log
  }

  get connected(): ReadonlyMap<string, Member> {
    return this.#connected
  }

  byFingerprint(fingerprint: string, id?: string): Member | undefined {
    this.#forgetOld()
    const named = id === undefined ? undefined : (this.#connected.get(id) ?? this.#left.get(id)?.member)
    if (named?.lane?.fingerprint === fingerprint) return named
    return this.#byFingerprint.get(fingerprint)
  }

  subscribe(events: MemberEvents): () => void {
    this.#subscribers.add(events)
    return () => {
      this.#subscribers.delete(events)
    }
  }

  /** The peer has proved itself on the connection from or to `address`. */
  admit({ id, address, hello, key }: Admitted): void {
    this.#pending.set(keyOf(id, address), { id, hello, key, clockOffsetMs: hello.time - this.#clock() })
    for (const key of this.#pending.keys()) {
      if (this.#pending.size <= MAX_PENDING) break
      this.#pending.delete(key)
    }
  }

  /** @returns false for a connection that nobody proved anything on */
  opened(connection: { readonly connectionId: string; readonly id: string; readonly address: string }): boolean {
    const { connectionId, id, address } = connection
    const key = keyOf(id, address)
    const pending = this.#pending.get(key)
    if (pending === undefined) return false
    this.#pending.delete(key)
    const connections = this.#connections.get(id) ?? new Set()
    this.#connections.set(id, connections.add(connectionId))
    this.#keys.set(connectionId, pending.key)
    const known = this.#connected.get(id)
    const member = memberOf(pending, address)
    if (known !== undefined && isSame(known, member)) return true
    if (known !== undefined) this.#remove(known)
    this.#add(member)
    return true
  }

  closed({ connectionId, id }: { readonly connectionId: string; readonly id: string }): void {
    this.#keys.delete(connectionId)
    const connections = this.#connections.get(id)
    if (connections?.delete(connectionId) !== true || connections.size > 0) return
    this.#connections.delete(id)
    const member = this.#connected.get(id)
    if (member !== undefined) this.#remove(member)
  }

  /**
   * Only these keys count from now on: whatever was proved by another one is void, and who has no other connection is no member
   * any more, nor one that left.
   * @returns ids of the connections that are to be closed, by peer
   */
  keepOnly(keys: readonly SwarmKey[]): Map<string, string[]> {
    const counts = (key: SwarmKey): boolean => keys.some((kept) => Buffer.compare(kept, key) === 0)
    for (const [address, { key }] of this.#pending) if (!counts(key)) this.#pending.delete(address)
    const closing = new Map<string, string[]>()
    for (const [id, connections] of this.#connections) {
      const outdated = [...connections].filter((connectionId) => {
        const key = this.#keys.get(connectionId)
        return key !== undefined && !counts(key)
      })
      if (outdated.length > 0) closing.set(id, outdated)
    }
    for (const [id, connections] of closing) {
      for (const connectionId of connections) this.closed({ connectionId, id })
      const gone = this.#left.get(id)
      if (gone !== undefined) this.#forget(gone.member)
    }
    return closing
  }

  #add(member: Member): void {
    const before = this.#left.get(member.id)
    if (before !== undefined) this.#forget(before.member)
    this.#connected.set(member.id, member)
    const { lane } = member
    if (lane !== undefined) {
      // Fingerprints are no secret among members: one can't be claimed by another, not even while its own member is away.
      const holder = this.#byFingerprint.get(lane.fingerprint)
      if (holder === undefined || holder.id === member.id) this.#byFingerprint.set(lane.fingerprint, member)
    }
    this.#tell((events) => events.joined(member))
  }

  #remove(member: Member): void {
    this.#connected.delete(member.id)
    this.#left.set(member.id, { member, at: this.#clock() })
    this.#forgetOld()
    this.#tell((events) => events.left(member))
  }

  #forgetOld(): void {
    for (const { member, at } of this.#left.values()) {
      if (this.#left.size <= MAX_REMEMBERED && this.#clock() - at < REMEMBERED_MS) break
      this.#forget(member)
    }
  }

  #forget(member: Member): void {
    this.#left.delete(member.id)
    const { lane } = member
    if (lane !== undefined && this.#byFingerprint.get(lane.fingerprint) === member)
      this.#byFingerprint.delete(lane.fingerprint)
  }

  #tell(call: (events: MemberEvents) => void): void {
    for (const events of this.#subscribers) {
      try {
        call(events)
      } catch (error) {
        this.#log.error({ err: error }, 'a subscriber of the members failed')
      }
    }
  }
}

function keyOf(id: string, address: string): string {
  return `${id} ${address}`
}

function memberOf({ id, hello, clockOffsetMs }: Pending, address: string): Member {
  const { fingerprint, port, hosts } = hello.lane
  const seen = parseMultiaddr(address)
  // no names: what a member says may not cause a lookup
  const numeric = hosts.filter((host) => isIP(host) !== 0)
  const told = numeric.length > 0 ? numeric : seen === undefined ? [] : [seen.host]
  const addresses = told.map((host) => ({ host, port }))
  const hasLane = fingerprint !== '' && port !== 0 && addresses.length > 0
  return {
    id,
    lane: hasLane ? { fingerprint, addresses } : undefined,
    zone: hello.zone,
    version: hello.version,
    clockOffsetMs,
    address: seen === undefined ? address : formatHostPort(seen),
  }
}

/** Whether a further connection says the same. */
function isSame(a: Member, b: Member): boolean {
  return a.lane?.fingerprint === b.lane?.fingerprint && a.zone === b.zone && a.version === b.version
}
