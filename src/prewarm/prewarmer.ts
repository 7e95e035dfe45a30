/**
 * Images brought in ahead of the pulls: on this host, and on the others of the fleet when asked to. Owns the bound on what is fetched at
 * once. Called by the admin API, and by peers through `swarm/fleet-prewarm`.
 *
 * This host goes first and the others follow, so that they find everything at a peer: the origin sends one copy.
 */
import type { Abortable } from '../blob/ports.ts'
import { hasCode, ShoalError } from '../errors.ts'
import { formatImageName, type ImageName, parseImageName } from '../oci/image-name.ts'
import type { Platform } from '../oci/manifest.ts'
import { parsePlatform } from '../oci/platform.ts'
import { parseName, parseRegistry, parseTagOrDigest } from '../oci/reference.ts'
import type { UpstreamRules } from '../oci/upstream.ts'
import { Slots } from '../util/slots.ts'
import type { Fleet, FleetImage, HostEnd, HostProgress } from './fleet.ts'
import { FleetRollout } from './fleet-rollout.ts'
import { type Emit, ImagePrewarm, type ImagePrewarmComponents } from './image-prewarm.ts'
import { MAX_HOSTS_AT_ONCE, type PrewarmEvent, type PrewarmRequest } from './prewarm-events.ts'

/** Blobs at once, of all images together. Each takes several connections of its own. */
const BLOBS_AT_ONCE = 4
/** For other agents, beside that: they can't hold up what is asked for here. */
const BLOBS_FOR_PEERS = 4
const MAX_IMAGES = 64
const MAX_PLATFORMS = 16

export interface PrewarmerComponents extends Omit<ImagePrewarmComponents, 'slots'> {
  /** Undefined without a swarm. */
  readonly fleet: () => Fleet | undefined
}

export interface PrewarmerInit {
  readonly upstream: UpstreamRules
  /** What this host runs. */
  readonly platform: Platform
}

interface Image {
  readonly text: string
  readonly name: ImageName
}

/** Runs what was asked for, once. */
export type PreparedPrewarm = (emit: Emit, options: Abortable) => Promise<void>

export class Prewarmer {
  readonly #components: PrewarmerComponents
  readonly #init: PrewarmerInit
  readonly #slots = new Slots({ most: BLOBS_AT_ONCE })
  readonly #peerSlots = new Slots({ most: BLOBS_FOR_PEERS })

  constructor(components: PrewarmerComponents, init: PrewarmerInit) {
    this.#components = components
    this.#init = init
  }

  /** @throws ShoalError REQUEST_INVALID, NAME_INVALID, TAG_INVALID, DIGEST_INVALID */
  prepare(request: PrewarmRequest): PreparedPrewarm {
    if (request.images.length === 0) throw new ShoalError('REQUEST_INVALID', 'no image is named')
    if (request.images.length > MAX_IMAGES) throw new ShoalError('REQUEST_INVALID', `at most ${MAX_IMAGES} images`)
    const images = request.images.map((text) => ({ text, name: this.#name(text) }))
    const platforms = this.#platforms(request.platforms)
    const { hosts } = request
    if (hosts !== undefined && !(Number.isInteger(hosts) && hosts >= 1 && hosts <= MAX_HOSTS_AT_ONCE)) {
      throw new ShoalError('REQUEST_INVALID', `hosts at a time: expected 1 to ${MAX_HOSTS_AT_ONCE}`)
    }
    const fleet = hosts === undefined ? undefined : this.#components.fleet()
    if (hosts !== undefined && fleet === undefined) {
      throw new ShoalError('REQUEST_INVALID', 'this agent takes part in no swarm: there is no fleet to ask')
    }
    const rollout = fleet && new FleetRollout({ fleet }, { hostsAtOnce: hosts ?? 1, platforms: request.platforms })
    return (emit, options) => this.#run(images, platforms, rollout, emit, options)
  }

  /** For another agent. What it asks for is not its truth: the origin's answer to this agent decides. */
  async serve(asked: FleetImage, onProgress: (progress: HostProgress) => void, options: Abortable): Promise<HostEnd> {
    const name: ImageName = {
      repository: { registry: parseRegistry(asked.registry), name: parseName(asked.name) },
      reference: parseTagOrDigest(asked.reference),
    }
    const platforms = this.#platforms(asked.platforms)
    let end: HostEnd = { ok: false, message: undefined, bytes: 0, totalBytes: 0, fromOrigin: 0, fromPeers: 0 }
    const emit = (event: PrewarmEvent): void => {
      if (event.type === 'progress') {
        const { bytes, totalBytes, fromOrigin, fromPeers } = event
        onProgress({ bytes, totalBytes, fromOrigin, fromPeers })
      }
      if (event.type !== 'image-done') return
      const { ok, message, failedLayers, totalBytes, fromOrigin, fromPeers } = event
      const failure = message ?? `${failedLayers} layers could not be had`
      end = { ok, message: ok ? undefined : failure, bytes: totalBytes, totalBytes, fromOrigin, fromPeers }
    }
    await this.#prewarm({ text: formatImageName(name), name }, platforms, emit, this.#peerSlots).run(options)
    return end
  }

  async #run(
    images: readonly Image[],
    platforms: readonly Platform[] | 'all',
    rollout: FleetRollout | undefined,
    emit: Emit,
    options: Abortable,
  ): Promise<void> {
    let failedImages = 0
    let unknownImages = 0
    let hosts = 0
    let failedHosts = 0
    for (const image of images) {
      const { ok, digest, isUnknown } = await this.#prewarm(image, platforms, emit, this.#slots).run(options)
      if (!ok) failedImages += 1
      if (isUnknown) unknownImages += 1
      // what the registry does not have nobody else gets from it either
      if (rollout === undefined || isUnknown) continue
      // by digest, so that all hosts get the same
      const name = digest === undefined ? image.name : { ...image.name, reference: { digest } }
      const asked = await rollout.run({ image: image.text, name }, emit, options)
      hosts += asked.hosts
      failedHosts += asked.failed
    }
    const ok = failedImages + failedHosts === 0
    emit({ type: 'done', ok, images: images.length, failedImages, unknownImages, hosts, failedHosts })
  }

  #prewarm({ text, name }: Image, platforms: readonly Platform[] | 'all', emit: Emit, slots: Slots): ImagePrewarm {
    const components = { ...this.#components, slots }
    return new ImagePrewarm(components, { image: text, name, platforms }, emit)
  }

  /** The user is told which of several it was. */
  #name(text: string): ImageName {
    try {
      return parseImageName(text, this.#init.upstream)
    } catch (error) {
      if (!hasCode(error)) throw error
      throw new ShoalError(error.code, `${text.slice(0, 300)}: ${error.message}`, { cause: error })
    }
  }

  #platforms(texts: readonly string[]): readonly Platform[] | 'all' {
    if (texts.length > MAX_PLATFORMS) throw new ShoalError('REQUEST_INVALID', `at most ${MAX_PLATFORMS} platforms`)
    if (texts.includes('all')) return 'all'
    return texts.length === 0 ? [this.#init.platform] : texts.map(parsePlatform)
  }
}
