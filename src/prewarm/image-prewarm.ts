/** Brings one image into the store of this host: its manifests, its config and its layers. */
import type { Abortable, Scope } from '../blob/ports.ts'
import type { Manifests } from '../blob/services.ts'
import { hasCode, toShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { ImageName } from '../oci/image-name.ts'
import type { Platform } from '../oci/manifest.ts'
import type { Clock } from '../util/clock.ts'
import { RateMeter } from '../util/rate-meter.ts'
import type { Slots } from '../util/slots.ts'
import { BlobFetch, type BlobFetchComponents } from './blob-fetch.ts'
import { type ImagePlan, type PlannedBlob, planImage } from './image-plan.ts'
import type { PrewarmEvent, PrewarmProgress, Received } from './prewarm-events.ts'

export interface ImagePrewarmComponents extends BlobFetchComponents {
  readonly manifests: Pick<Manifests, 'get'>
  /** Shared by all images that are brought in for the same reason. */
  readonly slots: Slots
  readonly clock: Clock
}

export interface ImagePrewarmInit {
  /** As the user wrote it; stands in the events. */
  readonly image: string
  readonly name: ImageName
  readonly platforms: readonly Platform[] | 'all'
}

export type Emit = (event: PrewarmEvent) => void

export interface ImageResult {
  readonly ok: boolean
  /** What the name stands for; undefined when it could not be resolved. */
  readonly digest: Digest | undefined
  /** The registry answered that it has no such image. */
  readonly isUnknown: boolean
}

const TELL_MS = 250

export class ImagePrewarm {
  readonly #components: ImagePrewarmComponents
  readonly #init: ImagePrewarmInit
  readonly #emit: Emit
  readonly #running = new Set<BlobFetch>()
  readonly #rate: RateMeter
  #received: Received = { fromOrigin: 0, fromPeers: 0 }
  #doneBytes = 0
  #seenBytes = 0
  #totalBytes = 0
  #failedLayers = 0
  #told = ''

  constructor(components: ImagePrewarmComponents, init: ImagePrewarmInit, emit: Emit) {
    this.#components = components
    this.#init = init
    this.#emit = emit
    this.#rate = new RateMeter(components.clock())
  }

  /** What fails is told and is no error. @throws the signal's reason */
  async run({ signal }: Abortable): Promise<ImageResult> {
    const { clock } = this.#components
    const { image, name, platforms } = this.#init
    const begun = clock()
    let digest: Digest | undefined
    let isUnknown = false
    let message: string | undefined
    try {
      const { repository, reference } = name
      const top = await this.#components.manifests.get({ repository, authorization: undefined }, reference, { signal })
      digest = top.digest
      await this.#fetchAll(await planImage(this.#components, { repository, top }, platforms, { signal }), { signal })
    } catch (error) {
      signal.throwIfAborted()
      isUnknown = digest === undefined && hasCode(error, 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')
      message = messageOf(error)
    }
    signal.throwIfAborted()
    const ok = message === undefined && this.#failedLayers === 0
    this.#emit({
      type: 'image-done',
      image,
      ok,
      failedLayers: this.#failedLayers,
      ...(message !== undefined && { message }),
      totalBytes: this.#totalBytes,
      seconds: Math.max(0, clock() - begun) / 1000,
      ...this.#received,
    })
    return { ok, digest, isUnknown }
  }

  async #fetchAll({ digest, platforms, blobs }: ImagePlan, options: Abortable): Promise<void> {
    const { image } = this.#init
    this.#totalBytes = blobs.reduce((sum, { size, isElsewhere }) => sum + (isElsewhere ? 0 : (size ?? 0)), 0)
    const layers = blobs.map(({ digest, size }) => ({ digest, size }))
    this.#emit({ type: 'image', image, digest, platforms, layers, totalBytes: this.#totalBytes })
    const timer = setInterval(() => this.#tell(), TELL_MS)
    try {
      await Promise.all(blobs.map((blob) => this.#components.slots.run(() => this.#fetch(blob, options), options)))
    } finally {
      clearInterval(timer)
    }
  }

  async #fetch(blob: PlannedBlob, { signal }: Abortable): Promise<void> {
    const { image, name } = this.#init
    const scope: Scope = { repository: name.repository, authorization: undefined }
    const fetch = new BlobFetch(this.#components, blob)
    const layer = { type: 'layer', image, digest: blob.digest } as const
    if (blob.isElsewhere) {
      this.#emit({ ...layer, size: blob.size, outcome: 'elsewhere', fromOrigin: 0, fromPeers: 0 })
      return
    }
    this.#running.add(fetch)
    try {
      const outcome = await fetch.run(scope, { signal })
      this.#emit({ ...layer, size: fetch.size, outcome, ...fetch.received })
      this.#doneBytes += blob.size ?? fetch.size ?? 0
    } catch (error) {
      signal.throwIfAborted()
      this.#failedLayers += 1
      this.#emit({ ...layer, size: fetch.size, outcome: 'failed', message: messageOf(error), ...fetch.received })
    } finally {
      this.#running.delete(fetch)
      this.#received = sum(this.#received, fetch.received)
    }
  }

  #tell(): void {
    const running = [...this.#running].map((fetch) => ({ fetch, bytes: fetch.bytes, received: fetch.received }))
    const bytes = running.reduce((total, one) => total + one.bytes, this.#doneBytes)
    const now = this.#components.clock()
    this.#rate.add(Math.max(0, bytes - this.#seenBytes), now)
    this.#seenBytes = Math.max(bytes, this.#seenBytes)
    const progress: PrewarmProgress = {
      bytes,
      totalBytes: this.#totalBytes,
      bytesPerSecond: Math.round(this.#rate.bytesPerSecond(now)),
      ...running.reduce((total, one) => sum(total, one.received), this.#received),
      layers: running.map(({ fetch, bytes }) => ({ digest: fetch.blob.digest, size: fetch.size, bytes })),
    }
    // while nothing moves nothing is told
    const text = JSON.stringify(progress)
    if (text === this.#told) return
    this.#told = text
    this.#emit({ type: 'progress', image: this.#init.image, ...progress })
  }
}

function sum(a: Received, b: Received): Received {
  return { fromOrigin: a.fromOrigin + b.fromOrigin, fromPeers: a.fromPeers + b.fromPeers }
}

function messageOf(error: unknown): string {
  const { code, message } = toShoalError(error)
  return `${message} (${code})`
}
