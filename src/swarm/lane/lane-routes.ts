import type { IncomingMessage, ServerResponse } from 'node:http'
import { chunkAt, planChunks } from '../../blob/chunk-plan.ts'
import type { Abortable, BlobReader, ByteRange, SharedBlob, SharedContent } from '../../blob/ports.ts'
import { hasCode } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import type { LaneLoad } from './lane-load.ts'
import { LanePrecedence } from './lane-precedence.ts'
import { CROWDED_HEADER, type Crowded, formatContentRange, parseLaneRange, parseLaneTarget } from './lane-protocol.ts'
import type { LaneProgress, LaneSender } from './lane-sender.ts'
import { LaneTurns } from './lane-turns.ts'

/** When a peer that was refused for being one too many may ask again. */
const RETRY_AFTER_SECONDS = '1'

/**
 * So many are given the same chunk at once, and so long others wait for their turn: a peer that hears nothing for longer takes it for a stall.
 * Who takes more time than this, or than a slow link needs for it, keeps nobody else from it any longer.
 */
export const LANE_TURNS = {
  most: 3,
  waitMs: 250,
  takesMs: 5_000,
  bytesPerMs: 256,
  mostBytes: 16 * 1024 * 1024,
} as const

/** `cut`: the body could not be completed, or the peer left. */
export type LaneOutcome = 'served' | 'lacked' | 'busy' | 'refused' | 'cut'

interface Components {
  readonly content: Pick<SharedContent, 'find' | 'open'>
  readonly load: LaneLoad
  readonly sender: LaneSender
  readonly clock: Clock
}

/** What the lane answers, by request. Knows no connections. */
export class LaneRoutes {
  readonly #components: Components
  readonly #turns = new LaneTurns(LANE_TURNS)
  readonly #precedence: LanePrecedence

  constructor(components: Components) {
    this.#components = components
    this.#precedence = new LanePrecedence(components)
  }

  /**
   * Answers, or cuts the response when its body can't be completed.
   * @param options.signal aborts when the peer has left
   */
  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    peer: string,
    progress: Omit<LaneProgress, 'onFirstBytes'>,
    options: Abortable,
  ): Promise<LaneOutcome> {
    const { method, headers } = request
    const target = parseLaneTarget(request.url ?? '')
    const range = headers.range === undefined ? undefined : parseLaneRange(headers.range)
    const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
    if (method !== 'GET' || target === undefined || hasBody || (headers.range !== undefined && range === undefined)) {
      // what is left of the request must not be taken for another one
      refuse(response, 400, { connection: 'close' })
      return 'refused'
    }
    const leave = this.#components.load.enter(peer)
    if (typeof leave === 'string') {
      refuse(response, leave === 'full' ? 503 : 429, { 'retry-after': RETRY_AFTER_SECONDS })
      return 'busy'
    }
    try {
      const blob = this.#components.content.find(target.digest, target.registry)
      if (blob === undefined) return lacking(response, 404)
      if (range !== undefined && range.end > blob.size) {
        refuse(response, 416, { 'content-range': `bytes */${blob.size}` })
        return 'refused'
      }
      if (!isHere(blob, range ?? { start: 0, end: blob.size })) return lacking(response, 409)
      const turn = await this.#turn(peer, blob, range, options)
      if (typeof turn === 'string') {
        if (options.signal.aborted) {
          response.destroy()
          return 'cut'
        }
        refuse(response, 429, { [CROWDED_HEADER]: turn })
        return 'busy'
      }
      using _turn = turn
      return await this.#send(response, blob, target.registry, range, progress, options)
    } finally {
      leave()
    }
  }

  /** @returns what stands in the way: too many others are given it, or have been asking for longer */
  async #turn(
    peer: string,
    blob: SharedBlob,
    range: ByteRange | undefined,
    { signal }: Abortable,
  ): Promise<Disposable | Crowded> {
    const plan = planChunks(blob.size)
    if (range === undefined || plan.count === 1) return { [Symbol.dispose]: () => {} }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const what = `${blob.digest} ${chunkAt(plan, range.start)}`
    let inTheWay: Crowded = 'peer'
    let giveBack: (() => void) | undefined
    const leavePlace = this.#precedence.take(peer, () => {
      inTheWay = 'range'
      giveBack = this.#turns.take(what, peer, () => resolve(true))
      if (giveBack === undefined) resolve(false)
    })
    if (leavePlace === undefined) return 'peer'
    const leave = (): void => {
      giveBack?.()
      leavePlace()
    }
    const timer = setTimeout(() => resolve(false), LANE_TURNS.waitMs)
    const onAbort = (): void => resolve(false)
    signal.addEventListener('abort', onAbort, { once: true })
    const isItsTurn = await promise
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    if (!isItsTurn) {
      leave()
      return inTheWay
    }
    const bytes = Math.min(LANE_TURNS.mostBytes, range.end - range.start)
    const slow = setTimeout(leave, Math.max(LANE_TURNS.takesMs, bytes / LANE_TURNS.bytesPerMs)).unref()
    return {
      [Symbol.dispose]: () => {
        clearTimeout(slow)
        leave()
      },
    }
  }

  async #send(
    response: ServerResponse,
    blob: SharedBlob,
    registry: string,
    range: ByteRange | undefined,
    progress: Omit<LaneProgress, 'onFirstBytes'>,
    options: Abortable,
  ): Promise<LaneOutcome> {
    const wanted = range ?? { start: 0, end: blob.size }
    let reader: BlobReader | undefined
    let begun = false
    const onFirstBytes = (): void => {
      begun = true
      response.writeHead(range === undefined ? 200 : 206, {
        'content-length': wanted.end - wanted.start,
        ...(range !== undefined && { 'content-range': formatContentRange(range, blob.size) }),
      })
    }
    try {
      reader = await this.#components.content.open(blob.digest, registry)
      options.signal.throwIfAborted()
      if (reader.size !== blob.size) return lacking(response, 404)
      if (wanted.start === wanted.end) onFirstBytes()
      else await this.#components.sender.send(response, reader, wanted, { ...progress, onFirstBytes }, options)
      response.end()
      return 'served'
    } catch (error) {
      if (begun || options.signal.aborted) {
        response.destroy()
        return 'cut'
      }
      if (hasCode(error, 'BLOB_UNKNOWN')) return lacking(response, 404)
      refuse(response, 500)
      return 'refused'
    } finally {
      // the peer is not to wait for this
      reader?.close().catch(() => undefined)
    }
  }
}

function isHere(blob: SharedBlob, range: ByteRange): boolean {
  if (blob.isComplete) return true
  const plan = planChunks(blob.size)
  const last = chunkAt(plan, Math.max(range.start, range.end - 1))
  for (let index = chunkAt(plan, range.start); index <= last; index += 1) if (!blob.has(index)) return false
  return true
}

function lacking(response: ServerResponse, status: 404 | 409): LaneOutcome {
  refuse(response, status)
  return 'lacked'
}

function refuse(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-length': 0, ...headers })
  response.end()
}
