/**
 * Tells open pages what changes: the whole first, then the sections that are not as before, at most at every tick.
 *
 * Owns the streams that are open (a bounded number), and what was told last. Works only while there are any. Each message is
 * written once for all; a stream that did not keep up gets everything when it does, and is dropped when that takes long.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { EventStream } from './event-stream.ts'
import type { PageSections } from './page-data.ts'
import type { TrafficSample } from './traffic-history.ts'

export interface PageFeedComponents {
  readonly look: () => PageSections
  readonly clock: Clock
  readonly log: Logger
}

export interface PageFeedInit {
  readonly tickMs: number
  /** After so long without a change a comment shows that the agent is there. */
  readonly heartbeatMs: number
  readonly maxStreams: number
  /** A reader that takes nothing for so long is dropped. */
  readonly stallMs: number
}

export const PAGE_FEED_DEFAULTS: PageFeedInit = {
  tickMs: 500,
  heartbeatMs: 15_000,
  maxStreams: 16,
  stallMs: 20_000,
}

const SECTIONS = ['agent', 'store', 'traffic', 'swarm', 'transfers', 'ended', 'pulls', 'samples'] as const
type Section = (typeof SECTIONS)[number]

/** So long a page waits before it connects again. */
const RETRY_MS = 2_000

export class PageFeed {
  readonly #components: PageFeedComponents
  readonly #init: PageFeedInit
  readonly #streams = new Set<EventStream>()
  /** JSON of each section as it was told last. */
  #told = new Map<Section, string>()
  #samples: readonly TrafficSample[] = []
  #spokeAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(components: PageFeedComponents, init: PageFeedInit) {
    this.#components = components
    this.#init = init
  }

  get streamCount(): number {
    return this.#streams.size
  }

  /** Takes the response over. @returns false, with the response untouched, when too many are open */
  add(response: ServerResponse): boolean {
    if (this.#streams.size >= this.#init.maxStreams) return false
    const stream = new EventStream(response, () => this.#left(stream))
    this.#streams.add(stream)
    stream.write(`retry: ${RETRY_MS}\n\n`, this.#components.clock())
    if (this.#timer === undefined) this.#timer = setInterval(() => this.#tick(), this.#init.tickMs).unref()
    this.#tick()
    return true
  }

  /** Ends all streams. */
  stop(): void {
    for (const stream of this.#streams) stream.drop()
  }

  #left(stream: EventStream): void {
    this.#streams.delete(stream)
    if (this.#streams.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#told.clear()
    this.#samples = []
  }

  /** Whatever goes wrong here, the agent goes on. */
  #tick(): void {
    try {
      this.#tell()
    } catch (error) {
      this.#components.log.error({ err: error }, 'the page can not be told what goes on')
      this.stop()
    }
  }

  #tell(): void {
    const now = this.#components.clock()
    const change = this.#change(now)
    const isDue = Math.abs(now - this.#spokeAt) >= this.#init.heartbeatMs
    if (change !== undefined || isDue) this.#spokeAt = now
    const text = change ?? (isDue ? ': still here\n\n' : undefined)
    let snapshot: string | undefined
    for (const stream of this.#streams) {
      if (!stream.isReady) {
        stream.isMissing ||= change !== undefined
        if (stream.behindFor(now) > this.#init.stallMs) stream.drop()
      } else if (stream.isMissing) {
        snapshot ??= this.#snapshot(now)
        stream.isMissing = false
        stream.write(snapshot, now)
      } else if (text !== undefined) stream.write(text, now)
    }
  }

  /** The event for what is not as it was told last; undefined for nothing. */
  #change(now: number): string | undefined {
    const sections = this.#components.look()
    const parts: string[] = []
    for (const name of SECTIONS) {
      const json = JSON.stringify(sections[name])
      if (this.#told.get(name) === json) continue
      this.#told.set(name, json)
      parts.push(`"${name}":${name === 'samples' ? JSON.stringify(this.#newSamples(sections.samples)) : json}`)
    }
    return parts.length === 0 ? undefined : event('change', now, parts)
  }

  #snapshot(now: number): string {
    return event(
      'snapshot',
      now,
      [...this.#told].map(([name, json]) => `"${name}":${json}`),
    )
  }

  /** A sample that has passed stays as it is. */
  #newSamples(samples: readonly TrafficSample[]): readonly TrafficSample[] {
    const last = this.#samples.at(-1)?.[0] ?? 0
    this.#samples = samples
    return samples.filter(([slot]) => slot >= last)
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation: JSON holds no line feeds */
function event(name: string, now: number, parts: readonly string[]): string {
  return `event: ${name}\ndata: {"now":${now},${parts.join(',')}}\n\n`
}
