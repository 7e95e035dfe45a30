const SLOTS = 360
/** Milliseconds of one sample. */
export const SAMPLE_MS = 10_000

/** Bytes since the agent started. */
export interface TrafficTotals {
  readonly fromOrigin: number
  readonly fromPeers: number
  readonly toPeers: number
}

/** Number of the sample (of ten seconds, since the epoch), and bytes in it: from the origin, from peers, to peers. */
export type TrafficSample = readonly [slot: number, fromOrigin: number, fromPeers: number, toPeers: number]

/** Bytes of the last hour in samples of ten seconds. Of fixed size; the time is passed in, in milliseconds, and may jump. */
export class TrafficHistory {
  readonly #slots = new Float64Array(SLOTS).fill(Number.NaN)
  readonly #bytes = new Float64Array(SLOTS * 3)
  #before: TrafficTotals = { fromOrigin: 0, fromPeers: 0, toPeers: 0 }

  /** What came since the last call counts for the sample of `now`. */
  record(totals: TrafficTotals, now: number): void {
    const slot = Math.floor(now / SAMPLE_MS)
    const at = slot % SLOTS
    if (this.#slots[at] !== slot) {
      this.#slots[at] = slot
      this.#bytes.fill(0, at * 3, at * 3 + 3)
    }
    const { fromOrigin, fromPeers, toPeers } = this.#before
    this.#add(at * 3, totals.fromOrigin - fromOrigin)
    this.#add(at * 3 + 1, totals.fromPeers - fromPeers)
    this.#add(at * 3 + 2, totals.toPeers - toPeers)
    this.#before = totals
  }

  /** Those of the hour before `now` in which anything moved, the oldest first. */
  samples(now: number): TrafficSample[] {
    const last = Math.floor(now / SAMPLE_MS)
    const samples: TrafficSample[] = []
    for (let slot = last - SLOTS + 1; slot <= last; slot++) {
      const at = slot % SLOTS
      if (this.#slots[at] !== slot) continue
      const [origin = 0, peers = 0, sent = 0] = this.#bytes.subarray(at * 3, at * 3 + 3)
      if (origin + peers + sent > 0) samples.push([slot, origin, peers, sent])
    }
    return samples
  }

  #add(at: number, bytes: number): void {
    this.#bytes[at] = (this.#bytes[at] ?? 0) + Math.max(0, bytes)
  }
}
