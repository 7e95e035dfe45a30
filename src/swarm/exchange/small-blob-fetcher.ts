/** Fetches a small blob whole from the first peer that has it; asks a second one when the first is slow. */
import { createHash } from 'node:crypto'
import { planChunks } from '../../blob/chunk-plan.ts'
import type { Abortable, PeerSource, SwarmEvents } from '../../blob/ports.ts'
import { hasCode } from '../../errors.ts'
import { digestHex } from '../../oci/digest.ts'
import { linkSignals } from '../../util/signals.ts'
import type { BlobKey } from '../protocol/wire-messages.ts'

const AT_ONCE = 2
const STAGGER_MS = 50
const DEADLINE_MS = 10_000

export type JoinBlob = (key: BlobKey, events: SwarmEvents) => { leave(): void }

const ignore = (): void => {}

/** @returns undefined when nobody who can be found within the search's first round has it */
export async function fetchSmall(
  join: JoinBlob,
  blob: BlobKey & { readonly maxBytes: number },
  { signal }: Abortable,
): Promise<Buffer | undefined> {
  if (signal.aborted) return undefined
  using linked = linkSignals([signal], DEADLINE_MS)
  try {
    return await new SmallBlobFetch(blob, linked).run(join)
  } finally {
    linked.abort(new DOMException('not needed any more', 'AbortError'))
  }
}

class SmallBlobFetch {
  readonly #blob: BlobKey & { readonly maxBytes: number }
  readonly #signal: AbortSignal
  readonly #candidates: PeerSource[] = []
  readonly #result = Promise.withResolvers<Buffer | undefined>()
  #running = 0
  #isSearched = false
  #mayStartSecond = false

  constructor(blob: BlobKey & { readonly maxBytes: number }, { signal }: Abortable) {
    this.#blob = blob
    this.#signal = signal
  }

  async run(join: JoinBlob): Promise<Buffer | undefined> {
    this.#signal.addEventListener('abort', () => this.#result.resolve(undefined), { once: true })
    const stagger = setInterval(() => {
      this.#mayStartSecond = true
      this.#next()
    }, STAGGER_MS).unref()
    const { digest, registry } = this.#blob
    const found = (peer: PeerSource): void => this.#found(peer)
    const searched = (): void => {
      this.#isSearched = true
      this.#next()
    }
    const events = { found, gained: found, left: ignore, stated: ignore, banned: ignore, leased: ignore, searched }
    const membership = join({ digest, registry }, events)
    try {
      return await this.#result.promise
    } finally {
      clearInterval(stagger)
      membership.leave()
    }
  }

  #found(peer: PeerSource): void {
    if (peer.size > this.#blob.maxBytes || !hasAllChunks(peer)) return
    this.#candidates.push(peer)
    this.#next()
  }

  #next(): void {
    const most = this.#mayStartSecond ? AT_ONCE : 1
    while (this.#running < most && !this.#signal.aborted) {
      const peer = this.#candidates.shift()
      if (peer === undefined) break
      this.#running += 1
      this.#mayStartSecond = false
      void this.#fetch(peer)
    }
    if (this.#isSearched && this.#running === 0 && this.#candidates.length === 0) this.#result.resolve(undefined)
  }

  async #fetch(peer: PeerSource): Promise<void> {
    const startedAt = performance.now()
    try {
      const { bytes } = await peer.open({ start: 0, end: undefined }, { signal: this.#signal })
      const pieces: Uint8Array[] = []
      let length = 0
      for await (const piece of bytes) {
        length += piece.length
        if (length > this.#blob.maxBytes) break
        pieces.push(piece)
      }
      const body = Buffer.concat(pieces)
      if (createHash('sha256').update(body).digest('hex') === digestHex(this.#blob.digest)) {
        peer.report({ type: 'delivered', bytes: body.length, ms: performance.now() - startedAt })
        this.#result.resolve(body)
      } else peer.report({ type: 'wrong-bytes', index: 0, bytes: length })
    } catch (error) {
      const isFault =
        !this.#signal.aborted && !hasCode(error, 'PEER_BUSY', 'PEER_CROWDED', 'PEER_PUTS_OFF', 'PEER_LACKS')
      if (isFault) peer.report({ type: 'failed' })
    } finally {
      this.#running -= 1
      this.#next()
    }
  }
}

export function hasAllChunks(peer: PeerSource): boolean {
  const { count } = planChunks(peer.size)
  for (let index = 0; index < count; index++) if (!peer.has(index)) return false
  return true
}
