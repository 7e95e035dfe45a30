/**
 * Announces complete content, so that other agents find it. Owns what is announced: at most `maxAnnounced` blobs, the most
 * recently used; older ones are left out, and peers that ask this agent still get them.
 *
 * What comes is announced at once and what goes is withdrawn. What was here before is handed to the directory slowly, most
 * recently used first, so that new content never waits behind it and the CPU stays with pulls. Now and then all is compared
 * anew, for a use changes what is recent. Started and stopped by the agent; nobody calls it.
 */
import type { Digest } from '../oci/digest.ts'
import type { SharedContent } from './ports.ts'

export interface AnnouncerComponents {
  readonly content: Pick<SharedContent, 'digests' | 'subscribe'>
  /** Whoever announces a key twice has announced it. */
  readonly directory: {
    announce(key: Digest): void
    withdraw(key: Digest): void
  }
}

export interface AnnouncerInit {
  readonly maxAnnounced: number
  /** How many of what was here before go out without a wait. */
  readonly burst: number
  /** Between two of the others. */
  readonly paceMs: number
  readonly reviewMs: number
}

/**
 * A record costs its agent some 30 ms of CPU and the fleet some 80 (K = 8), again twice in its life of two days: 5,000 cost
 * 0.2 % of a core, and 3 % in the hour and a half after the start.
 */
export const ANNOUNCER_DEFAULTS: AnnouncerInit = {
  maxAnnounced: 5_000,
  burst: 32,
  paceMs: 1_000,
  reviewMs: 60 * 60 * 1_000,
}

/** Above the bound by so much, what is oldest is left out, all at once. */
const SLACK = 1.05

export class Announcer {
  readonly #content: AnnouncerComponents['content']
  readonly #directory: AnnouncerComponents['directory']
  readonly #init: AnnouncerInit
  readonly #announced = new Set<Digest>()
  /** Waits to be announced, in this order. */
  readonly #waiting = new Set<Digest>()
  #unsubscribe: (() => void) | undefined
  #pace: NodeJS.Timeout | undefined
  #review: NodeJS.Timeout | undefined

  constructor(components: AnnouncerComponents, init: AnnouncerInit = ANNOUNCER_DEFAULTS) {
    this.#content = components.content
    this.#directory = components.directory
    this.#init = init
  }

  start(): void {
    if (this.#unsubscribe !== undefined) return
    this.#unsubscribe = this.#content.subscribe({
      added: (digest) => this.#added(digest),
      removed: (digest) => this.#removed(digest),
    })
    this.#compare()
    for (let count = 0; count < this.#init.burst; count += 1) this.#announceNext()
    this.#review = setInterval(() => this.#compare(), this.#init.reviewMs).unref()
  }

  /** What is announced stays so, for agents are often restarted at once. */
  stop(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    clearInterval(this.#pace)
    this.#pace = undefined
    clearInterval(this.#review)
    this.#waiting.clear()
    this.#announced.clear()
  }

  #added(digest: Digest): void {
    this.#waiting.delete(digest)
    this.#announce(digest)
    if (this.#announced.size > this.#init.maxAnnounced * SLACK) this.#compare()
  }

  #removed(digest: Digest): void {
    this.#waiting.delete(digest)
    if (this.#announced.delete(digest)) this.#directory.withdraw(digest)
  }

  /** Withdraws what is no longer among the most recently used, and queues what should be announced. */
  #compare(): void {
    const wanted = new Set<Digest>()
    for (const digest of this.#content.digests()) {
      if (wanted.size >= this.#init.maxAnnounced) break
      wanted.add(digest)
    }
    for (const digest of this.#announced) if (!wanted.has(digest)) this.#removed(digest)
    this.#waiting.clear()
    for (const digest of wanted) if (!this.#announced.has(digest)) this.#waiting.add(digest)
    if (this.#waiting.size > 0) this.#pace ??= setInterval(() => this.#announceNext(), this.#init.paceMs).unref()
  }

  #announceNext(): void {
    const [next] = this.#waiting
    if (next !== undefined) {
      this.#waiting.delete(next)
      this.#announce(next)
    }
    if (this.#waiting.size > 0) return
    clearInterval(this.#pace)
    this.#pace = undefined
  }

  #announce(digest: Digest): void {
    this.#announced.add(digest)
    this.#directory.announce(digest)
  }
}
