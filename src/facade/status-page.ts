/**
 * The page of the admin listener and what it shows. Owns the page's files, the history of the last hour, and the streams of
 * events. Created and stopped by the composition root; its routes are added by `AdminServer`.
 */
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { AdminBackend } from './admin-api.ts'
import { loadPageAssets, type PageAssets } from './page-assets.ts'
import { PAGE_FEED_DEFAULTS, PageFeed, type PageFeedInit } from './page-feed.ts'
import { pageSections } from './page-sections.ts'
import type { Pull } from './pull-log.ts'
import { SAMPLE_MS, TrafficHistory } from './traffic-history.ts'

export interface StatusPageComponents {
  readonly backend: Pick<AdminBackend, 'status' | 'peers' | 'transfers'>
  readonly pulls: { recent(): readonly Pull[] }
  readonly clock: Clock
  readonly log: Logger
}

export class StatusPage {
  readonly feed: PageFeed
  readonly #components: StatusPageComponents
  readonly #history = new TrafficHistory()
  readonly #startedAt: number
  #assets: PageAssets = { files: new Map(), hash: '' }
  #timer: NodeJS.Timeout | undefined

  constructor(components: StatusPageComponents, init: PageFeedInit = PAGE_FEED_DEFAULTS) {
    const { backend, pulls, clock, log } = components
    this.#components = components
    this.#startedAt = clock()
    this.feed = new PageFeed(
      {
        look: () => {
          this.#record()
          const samples = this.#history.samples(clock())
          const { hash } = this.#assets
          return pageSections({
            backend,
            pulls: pulls.recent(),
            samples,
            startedAt: this.#startedAt,
            page: hash,
          })
        },
        clock,
        log,
      },
      init,
    )
  }

  /** Nothing before `start`. */
  get assets(): PageAssets {
    return this.#assets
  }

  /** Without its files the agent works as well, and only has no page. */
  async start(): Promise<void> {
    try {
      this.#assets = await loadPageAssets()
    } catch (error) {
      this.#components.log.error({ err: error }, 'the status page cannot be read')
    }
    this.#timer = setInterval(() => this.#record(), SAMPLE_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.feed.stop()
  }

  #record(): void {
    const { backend, clock } = this.#components
    this.#history.record(backend.status().traffic, clock())
  }
}
