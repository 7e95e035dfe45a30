/** This agent's asks for leases, blob by blob. Owns a client from the first ask of a blob until nobody wants it, and how long coordinators took. Called by `SwarmDirectory`. */
import type { LeaseAsk, SwarmEvents } from '../../blob/ports.ts'
import type { Digest } from '../../oci/digest.ts'
import { isSwarmDigest } from '../encoding/digest-bytes.ts'
import { type BlobKey, type HoldersMessage, type LeasedMessage, MAX_LEASE_MS } from '../protocol/wire-messages.ts'
import { AnswerTimes } from './answer-times.ts'
import { LeaseClient, type LeaseClientComponents } from './lease-client.ts'

interface Entry {
  readonly client: LeaseClient
  /** Who asked last gets the answer. */
  events: Pick<SwarmEvents, 'leased'>
}

export interface LeaseClientsComponents extends Omit<LeaseClientComponents, 'leased' | 'answerTimes' | 'named'> {
  /** Peers that have something of the blob. */
  readonly named: (key: BlobKey, peers: readonly string[]) => void
}

export class LeaseClients {
  readonly #components: LeaseClientsComponents
  readonly #answerTimes = new AnswerTimes()
  readonly #entries = new Map<Digest, Map<string, Entry>>()

  constructor(components: LeaseClientsComponents) {
    this.#components = components
  }

  ask(key: BlobKey, ask: LeaseAsk, events: Pick<SwarmEvents, 'leased'>): void {
    if (!isSwarmDigest(key.digest)) {
      // no agent shares it
      queueMicrotask(() => events.leased({ ranges: ask.gaps, forMs: MAX_LEASE_MS, members: 1 }))
      return
    }
    const entry = this.#entries.get(key.digest)?.get(key.registry) ?? this.#open(key, events)
    entry.events = events
    entry.client.ask(ask)
  }

  /** Chunks are here and good. */
  came(digest: Digest, indexes: Iterable<number>): void {
    const entries = this.#entries.get(digest)
    if (entries === undefined) return
    const came = [...indexes]
    for (const { client } of entries.values()) client.came(came)
  }

  leased(peer: string, message: LeasedMessage): void {
    this.#entries.get(message.digest)?.get(message.registry)?.client.leased(peer, message)
  }

  holders(peer: string, message: HoldersMessage): void {
    this.#entries.get(message.digest)?.get(message.registry)?.client.holders(peer, message)
  }

  /** Does nothing when somebody else has asked since. */
  leave({ digest, registry }: BlobKey, events: Pick<SwarmEvents, 'leased'>): void {
    const same = this.#entries.get(digest)
    const entry = same?.get(registry)
    if (same === undefined || entry?.events !== events) return
    same.delete(registry)
    if (same.size === 0) this.#entries.delete(digest)
    entry.client.close()
  }

  /** The peer has said something, whatever it is. */
  heard(peer: string): void {
    if (this.#entries.size > 0) this.#answerTimes.heard(peer, this.#components.clock())
  }

  met(peer: string): void {
    for (const client of this.#clients()) client.met(peer)
  }

  drop(peer: string): void {
    for (const client of this.#clients()) client.drop(peer)
  }

  stop(): void {
    for (const client of this.#clients()) client.close()
    this.#entries.clear()
  }

  #open(key: BlobKey, events: Entry['events']): Entry {
    const client = new LeaseClient(
      {
        ...this.#components,
        answerTimes: this.#answerTimes,
        leased: (lease) => entry.events.leased(lease),
        named: (peers) => this.#components.named(key, peers),
      },
      { digest: key.digest, registry: key.registry },
    )
    const entry: Entry = { client, events }
    this.#entries.set(key.digest, (this.#entries.get(key.digest) ?? new Map<string, Entry>()).set(key.registry, entry))
    return entry
  }

  #clients(): LeaseClient[] {
    return [...this.#entries.values()].flatMap((same) => [...same.values()].map(({ client }) => client))
  }
}
