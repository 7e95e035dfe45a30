/** Whom one transfer may ask: its origins and the peers of its blob, those that were given up among them. Owned by `TransferRuns`. */
import { ShoalError } from '../errors.ts'
import type { ChunkSource, PeerSource } from './ports.ts'
import { TransferSource } from './transfer-source.ts'

export class TransferSources {
  readonly #all: TransferSource[] = []
  #originFrom = Number.NEGATIVE_INFINITY

  /** The origin is not asked before. */
  holdOrigin(until: number): void {
    this.#originFrom = until
  }

  /** @param key tells sources apart; one of which another is in use is not taken */
  add(source: ChunkSource, key: string): void {
    if (this.#all.some((known) => known.key === key && known.error === undefined)) return
    this.#all.push(new TransferSource(source, key))
  }

  /** @returns false for one that was given up: it stays so */
  addPeer(peer: PeerSource): boolean {
    const known = this.#all.find(({ key, source }) => key === peer.id && source.kind === 'peer')
    if (known?.error !== undefined) return false
    if (known !== undefined) this.#all.splice(this.#all.indexOf(known), 1)
    this.#all.push(new TransferSource(peer, peer.id))
    return true
  }

  /** @returns undefined when it was not here, or is given up */
  removePeer(peer: PeerSource): TransferSource | undefined {
    const at = this.#all.findIndex(({ source }) => source === peer)
    if (at < 0 || this.#all[at]?.error !== undefined) return undefined
    return this.#all.splice(at, 1)[0]
  }

  /** @throws ShoalError INTERNAL for one that was not added */
  of(source: ChunkSource): TransferSource {
    const known = this.#all.find((candidate) => candidate.source === source)
    if (known === undefined) throw new ShoalError('INTERNAL', 'the source was not added')
    return known
  }

  /** By `TransferSource.id`; undefined for one that was given up. */
  byId(id: string): TransferSource | undefined {
    return this.#all.find((source) => source.id === id && source.error === undefined)
  }

  get hasPeers(): boolean {
    return this.#all.some(({ source, error }) => source.kind === 'peer' && error === undefined)
  }

  hasOrigin(now: number): boolean {
    return this.#all.some((source) => source.source.kind === 'origin' && source.isUsable(now))
  }

  usable(now: number): TransferSource[] {
    return this.#all.filter((source) => source.isUsable(now) && (source.peer !== undefined || this.#originFrom <= now))
  }

  /** Peers that may be asked again soon. */
  resting(now: number): TransferSource[] {
    return this.#all.filter((source) => source.peer !== undefined && source.isResting(now))
  }

  /** When some may be asked that may not be asked now. */
  wakeTimes(now: number): number[] {
    const times = this.#all.filter(({ error }) => error === undefined).flatMap((source) => source.wakeTimes(now))
    return this.#originFrom > now ? [...times, this.#originFrom] : times
  }

  /**
   * The origin has contradicted what these state: they are not asked until `forgetLacks`.
   * @returns those of them that are here
   */
  doubt(peers: ReadonlySet<string>): TransferSource[] {
    const doubted = this.#all.filter((source) => source.peer !== undefined && peers.has(source.key))
    for (const source of doubted) source.doubt()
    return doubted
  }

  forgetLacks(): void {
    for (const source of this.#all) source.forgetLacks()
  }

  /** Why nobody is left to ask. */
  get reason(): ShoalError {
    const failed = this.#all.filter(({ error }) => error !== undefined)
    const worst = failed.findLast(({ source }) => source.kind === 'origin') ?? failed.at(-1)
    return worst?.error ?? new ShoalError('ORIGIN_UNAVAILABLE', 'nobody to ask for the blob')
  }
}
