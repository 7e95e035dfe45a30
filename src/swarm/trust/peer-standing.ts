import type { Conduct } from '../../blob/ports.ts'
import type { Member } from '../swarm-ports.ts'

/** A peer as this agent knows it; for the list that people see too. Bytes and faults are counted since this agent started. */
export interface PeerView {
  readonly id: string
  /** Of the last connection's other end. */
  readonly address: string
  readonly zone: string
  /** Of Shoal. */
  readonly version: string
  readonly isConnected: boolean
  readonly receivedBytes: number
  readonly sentBytes: number
  /** At which it delivers; undefined until that was seen. */
  readonly bytesPerSecond: number | undefined
  /** Requests to it that ended well. */
  readonly deliveries: number
  /** All that follow together. */
  readonly faults: number
  readonly wrongBytes: number
  readonly stalls: number
  readonly failures: number
  readonly abuses: number
  /** Milliseconds since the epoch. */
  readonly lastSeenAt: number
}

// smaller answers say more about the round trip than about the rate
const MIN_SAMPLE_BYTES = 64 * 1024
const WEIGHT_OF_NEWEST = 0.3

/** What is counted for one peer. */
export class PeerStanding {
  readonly id: string
  readonly #conduct = { delivered: 0, 'wrong-bytes': 0, stalled: 0, failed: 0 }
  #member: Member | undefined
  #isConnected = false
  #receivedBytes = 0
  #sentBytes = 0
  #bytesPerSecond: number | undefined
  #abuses = 0
  #lastSeenAt: number

  constructor(id: string, now: number) {
    this.id = id
    this.#lastSeenAt = now
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  /** Whether it has ever proved that it belongs to this swarm. */
  get isMember(): boolean {
    return this.#member !== undefined
  }

  joined(member: Member, now: number): void {
    this.#member = member
    this.#isConnected = true
    this.#lastSeenAt = now
  }

  left(now: number): void {
    this.#isConnected = false
    this.#lastSeenAt = now
  }

  count(conduct: Conduct, now: number): void {
    this.#lastSeenAt = now
    this.#conduct[conduct.type] += 1
    if ('bytes' in conduct) this.#receivedBytes += conduct.bytes
    if (conduct.type !== 'delivered' || conduct.bytes < MIN_SAMPLE_BYTES || !(conduct.ms > 0)) return
    const sample = (conduct.bytes * 1000) / conduct.ms
    const before = this.#bytesPerSecond ?? sample
    this.#bytesPerSecond = before + WEIGHT_OF_NEWEST * (sample - before)
  }

  countSent(bytes: number): void {
    this.#sentBytes += bytes
  }

  countAbuse(): void {
    this.#abuses += 1
  }

  view(): PeerView {
    const { delivered: deliveries, 'wrong-bytes': wrongBytes, stalled: stalls, failed: failures } = this.#conduct
    return {
      id: this.id,
      address: this.#member?.address ?? '',
      zone: this.#member?.zone ?? '',
      version: this.#member?.version ?? '',
      isConnected: this.#isConnected,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
      bytesPerSecond: this.#bytesPerSecond,
      deliveries,
      faults: wrongBytes + stalls + failures + this.#abuses,
      wrongBytes,
      stalls,
      failures,
      abuses: this.#abuses,
      lastSeenAt: this.#lastSeenAt,
    }
  }
}
