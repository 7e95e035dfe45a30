import type { Abortable, ChunkSource, SourceBody } from '../blob/ports.ts'
import type { ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { TokenBucket } from '../util/token-bucket.ts'
import { type Backoff, backoffMs, wait } from './backoff.ts'
import { assertSameBlob, type BlobAnswer, readBlobAnswer } from './blob-answer.ts'
import { bodyPieces } from './body-pieces.ts'
import { misbehaved, OriginFailure, toOriginFailure } from './origin-failure.ts'
import type { RegistryRequester, RegistryScope } from './registry-requester.ts'

/** A request that brings less before it breaks off counts as fruitless: else a client waits for ever on little gains. */
const MIN_GAIN_BYTES = 64 * 1024

interface Components {
  readonly requester: RegistryRequester
  /** Limits what is read, when there is a limit. */
  readonly bucket: TokenBucket | undefined
  /** For an origin that sends the blob without telling its size. */
  readonly askSize: (options: Abortable) => Promise<number | undefined>
}

export interface BlobSourceInit {
  readonly scope: RegistryScope
  /** Repository's name. */
  readonly name: string
  readonly digest: Digest
  /** Requests in a row that may bring next to nothing before the source gives up. */
  readonly resumeTries: number
  readonly resumeBackoff: Backoff
}

/** One blob at an origin. Bodies go on by themselves after a cut or a stall; nothing of them is verified. */
export class BlobSource implements ChunkSource {
  readonly kind = 'origin'
  readonly id: string
  readonly #components: Components
  readonly #init: BlobSourceInit

  constructor(components: Components, init: BlobSourceInit) {
    this.id = init.scope.registry
    this.#components = components
    this.#init = init
  }

  /** What is opened holds a connection until it is read, or left. @param options.signal also ends the body */
  async open(range: { start: number; end: number | undefined }, options: Abortable): Promise<SourceBody> {
    if (range.end !== undefined && range.end <= range.start) throw new RangeError('empty range')
    const first = await this.#beginning(range, options)
    const totalSize = first.totalSize ?? (await this.#askSize(first, options))
    const ignoresRange = first.answer.status === 200 && (range.start > 0 || range.end !== undefined)
    return { totalSize, ignoresRange, bytes: this.#bytes(range, first, options) }
  }

  /** Of an empty blob there is no range: some registries refuse it then. */
  async #beginning(range: { start: number; end: number | undefined }, options: Abortable): Promise<BlobAnswer> {
    try {
      return await this.#request(range, options)
    } catch (error) {
      if (range.start > 0 || !(error instanceof OriginFailure) || error.status !== 416) throw error
      return await this.#request({ start: 0, end: undefined }, options)
    }
  }

  async #askSize(first: BlobAnswer, options: Abortable): Promise<number | undefined> {
    try {
      return await this.#components.askSize(options)
    } catch (error) {
      first.answer.body.destroy()
      throw error
    }
  }

  /** One generator and no delegation: each level costs a good part of what the network does. */
  async *#bytes(
    range: { start: number; end: number | undefined },
    first: BlobAnswer,
    options: Abortable,
  ): AsyncGenerator<Uint8Array> {
    const { bucket } = this.#components
    let current: BlobAnswer | undefined = first
    let position = range.start
    let end = endOf(range.end, first)
    for (let fruitless = 0; ; ) {
      const before = position
      let failure: ShoalError
      try {
        if (current === undefined) {
          current = await this.#request({ start: before, end: range.end }, { ...options, tries: 1 })
          assertSameBlob(this.id, first, current)
          end ??= endOf(range.end, current)
        }
        let { skip } = current
        for await (const part of bodyPieces(current.answer.body)) {
          const bytes = cut(part, skip, end === undefined ? Infinity : end - position)
          const skipped = Math.min(skip, part.length)
          skip -= skipped
          if (bytes.length > 0) {
            if (bucket?.isLimited === true) await bucket.take(bytes.length, options)
            position += bytes.length
            yield bytes
          }
          if (position !== end || skip > 0) continue
          if (holdsMore(current, end)) return
          if (skipped + bytes.length < part.length) throw misbehaved(this.id, 'body is longer than announced')
        }
        if (end === undefined || position === end) return
        failure = new OriginFailure('ORIGIN_UNAVAILABLE', `${this.id}: body ended early`, { again: true })
      } catch (error) {
        failure = toOriginFailure(this.id, error, options.signal)
        current?.answer.body.destroy()
        // What is missing is only the end of the message.
        if (position === end && isPassing(failure)) return
      }
      current = undefined
      fruitless = position - before >= MIN_GAIN_BYTES ? 0 : fruitless + 1
      if (!isPassing(failure) || fruitless >= this.#init.resumeTries) throw failure
      await wait(backoffMs(this.#init.resumeBackoff, fruitless + 1, failure), options)
    }
  }

  async #request(
    { start, end }: { start: number; end: number | undefined },
    options: Abortable & { readonly tries?: number },
  ): Promise<BlobAnswer> {
    const { scope, name, digest } = this.#init
    const asked = start === 0 && end === undefined ? undefined : { start }
    const headers: Record<string, string> = { accept: '*/*' }
    if (asked !== undefined) headers['range'] = `bytes=${start}-${end === undefined ? '' : end - 1}`
    return await this.#components.requester.ask(
      scope,
      { method: 'GET', path: `${name}/blobs/${digest}`, headers, asked: 'blob', traffic: 'bodies' },
      (answer) => readBlobAnswer(this.id, answer, asked),
      options,
    )
  }
}

function endOf(asked: number | undefined, { totalSize, bodyEnd }: BlobAnswer): number | undefined {
  const size = totalSize ?? (asked === undefined ? bodyEnd : undefined)
  return asked === undefined ? size : Math.min(asked, size ?? asked)
}

function cut(part: Buffer, skip: number, room: number): Buffer {
  return skip === 0 && part.length <= room ? part : part.subarray(skip, skip + room)
}

/** Whether a body goes on behind the asked range because a whole blob came instead. */
function holdsMore({ bodyEnd, totalSize }: BlobAnswer, end: number): boolean {
  return (bodyEnd ?? Infinity) > end && totalSize !== end
}

/** Whether the origin may be fine again in a moment: it is, or counts as, out of reach, and set no long wait. */
function isPassing(failure: ShoalError): boolean {
  if (!(failure instanceof OriginFailure)) return false
  return failure.again || (failure.code === 'ORIGIN_UNAVAILABLE' && failure.retryAfterMs === undefined)
}
