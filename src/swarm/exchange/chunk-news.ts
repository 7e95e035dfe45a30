/**
 * Gathers news about chunks, blob by blob, so that many small ones are told together: the first after a pause at once, what follows in steps; a step in which
 * few came lasts longer, for behind slow links each chunk would else be a message of its own to everybody. Owns the timers. Called by `WantDesk`.
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
  /** The step is over, and too few came: it is told as soon as there are enough. */
  isShort: boolean
}

/** Times in milliseconds. */
export interface ChunkNewsInit {
  /** Between two tellings of one blob at the least, as it is at the first of them, */
  readonly stepMs: (digest: Digest) => number
  /** and at most. */
  readonly lastMs: number
  /** So many chunks need not wait longer than a step. */
  readonly enough: number
  /** Before the first one: what is said of a chunk in several calls goes out together. */
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
      gathering = { news: noNews(), timer: undefined, isShort: false }
      this.#gatherings.set(digest, gathering)
      this.#wait(gathering, this.#init.firstMs, () => this.#ripe(digest))
    }
    for (const index of indexes) gathering.news.indexes.add(index)
    for (const [index, hash] of claims) gathering.news.claims.set(index, hash)
    if (gathering.isShort && this.#isEnough(gathering)) this.#wait(gathering, 0, () => this.#ripe(digest))
  }

  forget(digest: Digest): void {
    clearTimeout(this.#gatherings.get(digest)?.timer)
    this.#gatherings.delete(digest)
  }

  stop(): void {
    for (const digest of this.#gatherings.keys()) this.forget(digest)
  }

  #wait(gathering: Gathering, ms: number, done: () => void | Promise<void>): void {
    clearTimeout(gathering.timer)
    gathering.isShort = false
    gathering.timer = setTimeout(() => void done(), ms).unref()
  }

  /** A step is over. */
  #stepped(digest: Digest, stepMs: number): void {
    const gathering = this.#gatherings.get(digest)
    if (gathering === undefined) return
    const restMs = this.#init.lastMs - stepMs
    if (gathering.news.indexes.size === 0 || this.#isEnough(gathering) || restMs <= 0) {
      void this.#ripe(digest)
      return
    }
    this.#wait(gathering, restMs, () => this.#ripe(digest))
    gathering.isShort = true
  }

  async #ripe(digest: Digest): Promise<void> {
    const gathering = this.#gatherings.get(digest)
    if (gathering === undefined) return
    const { news } = gathering
    if (news.indexes.size === 0) {
      this.#gatherings.delete(digest)
      return
    }
    gathering.news = noNews()
    gathering.isShort = false
    await this.#tell(digest, news)
    if (this.#gatherings.get(digest) !== gathering) return
    const stepMs = this.#init.stepMs(digest)
    this.#wait(gathering, stepMs, () => this.#stepped(digest, stepMs))
  }

  #isEnough({ news }: Gathering): boolean {
    return news.indexes.size >= this.#init.enough
  }
}

function noNews(): News {
  return { indexes: new Set(), claims: new Map() }
}
