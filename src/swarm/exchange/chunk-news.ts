/**
 * Gathers news about chunks, blob by blob, so that many small ones are told together: the first after a pause at once, what follows in steps. Owns the timers. Called
 * by `WantDesk`.
 */
import type { ChunkHash } from '../../blob/ports.ts'
import type { Digest } from '../../oci/digest.ts'

export interface News {
  readonly indexes: Set<number>
  /** Hashes that this agent claims for some of them. */
  readonly claims: Map<number, ChunkHash>
}

interface Gathering {
  news: News
  timer: NodeJS.Timeout | undefined
}

export interface ChunkNewsInit {
  /** Milliseconds between two tellings of one blob, as it is at the first of them. */
  readonly stepMs: (digest: Digest) => number
  /** Milliseconds before the first one: what is said of a chunk in several calls goes out together. */
  readonly firstMs: number
}

export class ChunkNews {
  readonly #tell: (digest: Digest, news: News) => Promise<void>
  readonly #init: ChunkNewsInit
  readonly #gatherings = new Map<Digest, Gathering>()

  /** @param components.tell must not reject */
  constructor(components: { readonly tell: (digest: Digest, news: News) => Promise<void> }, init: ChunkNewsInit) {
    this.#tell = components.tell
    this.#init = init
  }

  add(digest: Digest, indexes: Iterable<number>, claims: ReadonlyMap<number, ChunkHash>): void {
    let gathering = this.#gatherings.get(digest)
    if (gathering === undefined) {
      gathering = { news: noNews(), timer: undefined }
      this.#gatherings.set(digest, gathering)
      this.#wait(digest, gathering, this.#init.firstMs)
    }
    for (const index of indexes) gathering.news.indexes.add(index)
    for (const [index, hash] of claims) gathering.news.claims.set(index, hash)
  }

  forget(digest: Digest): void {
    clearTimeout(this.#gatherings.get(digest)?.timer)
    this.#gatherings.delete(digest)
  }

  stop(): void {
    for (const digest of this.#gatherings.keys()) this.forget(digest)
  }

  #wait(digest: Digest, gathering: Gathering, ms: number): void {
    gathering.timer = setTimeout(() => void this.#ripe(digest, gathering), ms).unref()
  }

  async #ripe(digest: Digest, gathering: Gathering): Promise<void> {
    const { news } = gathering
    if (news.indexes.size === 0) {
      this.#gatherings.delete(digest)
      return
    }
    gathering.news = noNews()
    await this.#tell(digest, news)
    if (this.#gatherings.get(digest) === gathering) this.#wait(digest, gathering, this.#init.stepMs(digest))
  }
}

function noNews(): News {
  return { indexes: new Set(), claims: new Map() }
}
