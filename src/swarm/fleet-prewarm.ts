/**
 * Agents ask each other to bring an image in ahead of the pulls. Whoever is asked fetches it by its own rights and for its own
 * store; the asker only learns how far that is. Owns the jobs of others that run here.
 *
 * On a stream of `/shoal/prewarm/1`, messages of CBOR with a length in front:
 *
 *     asker   { v: 1, registry, name, reference, platforms: [text, …] }
 *     asked   { state: "running" | "done" | "failed" | "busy" | "refused", bytes, totalBytes, fromOrigin, fromPeers, message }
 *             once a second, the last of them with another state than "running"
 *
 * The job ends when the stream does.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { z } from 'zod'
import type { Abortable } from '../blob/ports.ts'
import { hasCode, ShoalError, toShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { RateLimit } from '../util/rate-limit.ts'
import { linkSignals } from '../util/signals.ts'
import { decodeStrict, encodeCanonical } from './encoding/strict-cbor.ts'
import type { Member, Members } from './swarm-ports.ts'

const PROTOCOL = '/shoal/prewarm/1'
const REQUEST_BYTES = 4 * 1024
const REPORT_BYTES = 2 * 1024
const MAX_ITEMS = 64
const MAX_MESSAGE = 300
/** Jobs of others at once: of one peer, and of all. */
const MAX_JOBS_OF_PEER = 2
const MAX_JOBS = 8
const ASKS_PER_SECOND = 1
const ASKS_BURST = 32
const MAX_PEERS_COUNTED = 512

const bytes = z.int().nonnegative()
const requestSchema = z.object({
  v: z.literal(1),
  registry: z.string().min(1).max(255),
  name: z.string().min(1).max(255),
  reference: z.string().min(1).max(140),
  platforms: z.array(z.string().max(64)).max(16),
})
const reportSchema = z.object({
  state: z.enum(['running', 'done', 'failed', 'busy', 'refused']),
  bytes,
  totalBytes: bytes,
  fromOrigin: bytes,
  fromPeers: bytes,
  message: z.string().max(MAX_MESSAGE),
})

type Report = z.output<typeof reportSchema>

export interface PrewarmedImage {
  readonly registry: string
  readonly name: string
  readonly reference: string
  readonly platforms: readonly string[]
}

export interface PrewarmProgress {
  readonly bytes: number
  readonly totalBytes: number
  readonly fromOrigin: number
  readonly fromPeers: number
}

export interface PrewarmEnd extends PrewarmProgress {
  readonly ok: boolean
  readonly message: string | undefined
}

type Work = (
  image: PrewarmedImage,
  onProgress: (progress: PrewarmProgress) => void,
  options: Abortable,
) => Promise<PrewarmEnd>

export interface FleetPrewarmComponents {
  readonly members: Pick<Members, 'connected' | 'openStream' | 'handle'>
  /** Does what others ask for; undefined: the operator does not want that. */
  readonly work: Work | undefined
  readonly clock: Clock
  readonly log: Logger
}

export interface FleetPrewarmTiming {
  /** Between reports. */
  readonly tellMs: number
  /** Without a report for so long the asked one counts as gone; and so long it may take to write one. */
  readonly silenceMs: number
  /** After so long a job ends, done or not. */
  readonly jobMs: number
  /** How long one that is busy is asked again. */
  readonly patienceMs: number
}

export const FLEET_PREWARM_TIMING: FleetPrewarmTiming = {
  tellMs: 1_000,
  silenceMs: 15_000,
  jobMs: 60 * 60_000,
  patienceMs: 2 * 60_000,
}

const NOTHING: PrewarmProgress = { bytes: 0, totalBytes: 0, fromOrigin: 0, fromPeers: 0 }

export class FleetPrewarm {
  readonly #components: FleetPrewarmComponents
  readonly #timing: FleetPrewarmTiming
  readonly #stopping = new AbortController()
  readonly #jobs = new Map<string, number>()
  readonly #rates = lru<string, RateLimit>(MAX_PEERS_COUNTED)
  #running = 0

  /** Call before the members start. */
  constructor(components: FleetPrewarmComponents, timing: FleetPrewarmTiming) {
    this.#components = components
    this.#timing = timing
    components.members.handle(PROTOCOL, (stream, member) => {
      this.#serve(stream, member).catch((error: unknown) => {
        components.log.debug({ peer: member.id, err: error }, 'a prewarm for a peer ended')
        stream.abort(toError(error))
      })
    })
  }

  stop(): void {
    this.#stopping.abort(new ShoalError('STOPPING', 'the agent is stopping'))
  }

  hosts(): readonly { readonly id: string; readonly address: string }[] {
    return [...this.#components.members.connected.values()].map(({ id, address }) => ({ id, address }))
  }

  /** @throws ShoalError PEER_UNAVAILABLE, PEER_BUSY, PEER_MISBEHAVED, DENIED; the signal's reason */
  async ask(
    id: string,
    image: PrewarmedImage,
    onProgress: (progress: PrewarmProgress) => void,
    { signal }: Abortable,
  ): Promise<PrewarmEnd> {
    const { clock } = this.#components
    const begun = clock()
    for (let pause = this.#timing.tellMs; ; pause = Math.min(10 * this.#timing.tellMs, pause * 2)) {
      try {
        return await this.#askOnce(id, image, onProgress, signal)
      } catch (error) {
        if (!hasCode(error, 'PEER_BUSY') || clock() - begun > this.#timing.patienceMs) throw error
        using waiting = linkSignals([signal, this.#stopping.signal])
        await delay(pause * (0.75 + Math.random() / 2), undefined, { signal: waiting.signal })
      }
    }
  }

  async #askOnce(
    id: string,
    image: PrewarmedImage,
    onProgress: (progress: PrewarmProgress) => void,
    signal: AbortSignal,
  ): Promise<PrewarmEnd> {
    using within = linkSignals([signal, this.#stopping.signal], this.#timing.jobMs)
    const stream = await this.#open(id, within)
    try {
      const messages = lpStream(stream, { maxDataLength: REPORT_BYTES, maxBufferSize: 16 * REPORT_BYTES })
      await messages.write(encodeCanonical({ v: 1, ...image, platforms: [...image.platforms] }), within)
      for (;;) {
        using silence = linkSignals([within.signal], this.#timing.silenceMs)
        const { state, message, ...progress } = parseReport((await messages.read(silence)).subarray())
        if (state === 'busy') throw new ShoalError('PEER_BUSY', 'it is busy with others')
        if (state === 'refused') throw new ShoalError('DENIED', 'it takes no such requests (swarm.prewarm: false)')
        if (state === 'running') onProgress(progress)
        else return { ...progress, ok: state === 'done', message: state === 'done' ? undefined : message }
      }
    } catch (error) {
      signal.throwIfAborted()
      if (hasCode(error)) throw error
      throw new ShoalError('PEER_UNAVAILABLE', 'it went away, or fell silent', { cause: error })
    } finally {
      stream.abort(new Error('not needed any more'))
    }
  }

  async #open(id: string, options: Abortable): Promise<Stream> {
    try {
      return await this.#components.members.openStream(id, PROTOCOL, options)
    } catch (error) {
      const { cause } = error as Error
      if (!(cause instanceof Error) || cause.name !== 'UnsupportedProtocolError') throw error
      throw new ShoalError('DENIED', 'it is of a version that takes no such requests', { cause })
    }
  }

  async #serve(stream: Stream, { id }: Member): Promise<void> {
    using job = linkSignals([this.#stopping.signal], this.#timing.jobMs)
    stream.addEventListener('close', () => job.abort(new Error('the asker has left')), { once: true })
    const messages = lpStream(stream, { maxDataLength: REQUEST_BYTES, maxBufferSize: 2 * REQUEST_BYTES })
    const tell = async (state: Report['state'], progress: PrewarmProgress, message = ''): Promise<void> => {
      using within = linkSignals([job.signal], this.#timing.silenceMs)
      const { bytes, totalBytes, fromOrigin, fromPeers } = progress
      const report: Report = { state, bytes, totalBytes, fromOrigin, fromPeers, message: message.slice(0, MAX_MESSAGE) }
      await messages.write(encodeCanonical(report), within)
    }
    using reading = linkSignals([job.signal], this.#timing.silenceMs)
    const image = parseRequest((await messages.read(reading)).subarray())
    const { work } = this.#components
    const leave = work && this.#enter(id)
    try {
      if (work === undefined) await tell('refused', NOTHING)
      else if (leave === undefined) await tell('busy', NOTHING)
      else await this.#work(work, image, tell, job.signal)
      await stream.close({ signal: job.signal })
    } finally {
      leave?.()
    }
  }

  async #work(
    work: Work,
    image: PrewarmedImage,
    tell: (state: Report['state'], progress: PrewarmProgress, message?: string) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    let latest = NOTHING
    const onProgress = (progress: PrewarmProgress): void => {
      latest = progress
    }
    using running = linkSignals([signal])
    const outcome = work(image, onProgress, { signal: running.signal })
    const settled = outcome.then(
      () => true,
      () => true,
    )
    try {
      for (;;) {
        using pause = linkSignals([running.signal])
        const isOver = await Promise.race([
          settled,
          delay(this.#timing.tellMs, false, { signal: pause.signal }).catch(() => true),
        ])
        pause.abort()
        if (isOver) break
        await tell('running', latest)
      }
    } catch (error) {
      // nobody hears of it any more
      running.abort(error)
      await settled
      throw error
    }
    try {
      const { ok, message, ...progress } = await outcome
      await tell(ok ? 'done' : 'failed', progress, message)
    } catch (error) {
      signal.throwIfAborted()
      await tell('failed', latest, toShoalError(error).message)
    }
  }

  /** @returns undefined when there is no room for it, else what ends it */
  #enter(id: string): (() => void) | undefined {
    const rate =
      this.#rates.get(id) ??
      new RateLimit({ clock: this.#components.clock }, { perSecond: ASKS_PER_SECOND, burst: ASKS_BURST })
    this.#rates.set(id, rate)
    const own = this.#jobs.get(id) ?? 0
    if (own >= MAX_JOBS_OF_PEER || this.#running >= MAX_JOBS || !rate.tryTake(1)) return undefined
    this.#jobs.set(id, own + 1)
    this.#running += 1
    return () => {
      this.#running -= 1
      const left = (this.#jobs.get(id) ?? 1) - 1
      if (left === 0) this.#jobs.delete(id)
      else this.#jobs.set(id, left)
    }
  }
}

function parseRequest(encoded: Uint8Array): PrewarmedImage {
  const parsed = requestSchema.safeParse(decodeStrict(encoded, { maxItems: MAX_ITEMS }))
  if (parsed.success) return parsed.data
  throw new ShoalError('PEER_MISBEHAVED', 'no request for a prewarm', { cause: parsed.error })
}

function parseReport(encoded: Uint8Array): Report {
  const parsed = reportSchema.safeParse(decodeStrict(encoded, { maxItems: MAX_ITEMS }))
  if (parsed.success) return parsed.data
  throw new ShoalError('PEER_MISBEHAVED', 'no report of a prewarm', { cause: parsed.error })
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error('failed', { cause: error })
}
