/**
 * Whether a client that is given a manifest without its origin can get everything else too: a manifest is taken as a promise,
 * and some clients do not fall back for what follows. "Here" means this host or a peer. Called by ManifestService; owns nothing.
 */
import type { Digest } from '../oci/digest.ts'
import { type Platform, readManifest } from '../oci/manifest.ts'
import type { Repository } from '../oci/reference.ts'
import { linkSignals } from '../util/signals.ts'
import type { Access } from './access.ts'
import type { Held } from './manifest-cache.ts'
import type { PeerKnowledge } from './peer-knowledge.ts'
import type { Abortable } from './ports.ts'

/** For all that peers are asked about one image. */
const SEARCH_MS = 3_000
const MAX_DEPTH = 4
/** Listed by one manifest; more than any image has. */
const MAX_LISTED = 1_000

export interface CompletenessComponents {
  /** Whether clients of the repository can have the blob from this host. */
  readonly isBlobHere: (repository: Repository, digest: Digest) => Promise<boolean>
  /** A manifest from here or from peers. */
  readonly manifest: (registry: string, digest: Digest, options: Abortable) => Promise<Held | undefined>
  readonly access: Pick<Access, 'isLinked' | 'linkInOutage'>
  readonly peers: Pick<PeerKnowledge, 'hasBlob'>
}

export class Completeness {
  readonly #components: CompletenessComponents
  readonly #platform: Platform

  /** @param init.platform what the clients of this host run: of an index, one image of it must be complete */
  constructor(components: CompletenessComponents, init: { readonly platform: Platform }) {
    this.#components = components
    this.#platform = init.platform
  }

  /** For a manifest that is in the repository, and a principal that was admitted there. */
  async check(repository: Repository, held: Held, { signal }: Abortable): Promise<boolean> {
    using limited = linkSignals([signal], SEARCH_MS)
    try {
      return await this.#isComplete(repository, held, limited, 0)
    } catch (error) {
      signal.throwIfAborted()
      if (limited.signal.aborted) return false
      throw error
    }
  }

  async #isComplete(repository: Repository, held: Held, options: Abortable, depth: number): Promise<boolean> {
    const { blobs, manifests, elsewhere } = readManifest(held.bytes)
    const children = manifests.map((child) => child.digest)
    if (depth > MAX_DEPTH || blobs.length + children.length > MAX_LISTED) return false
    this.#components.access.linkInOutage(repository, withoutAll([...blobs, ...children], elsewhere))
    if (!(await this.#areReachable(repository, blobs, options))) return false

    const { os, architecture } = this.#platform
    const fitting = manifests.filter(
      (child) => child.platform?.os === os && child.platform.architecture === architecture,
    )
    const candidates = fitting.length > 0 ? fitting : manifests
    if (candidates.length === 0) return true
    for (const child of candidates) {
      const inner = await this.#components.manifest(repository.registry, child.digest, options)
      if (inner !== undefined && (await this.#isComplete(repository, inner, options, depth + 1))) return true
    }
    return false
  }

  async #areReachable(repository: Repository, blobs: readonly Digest[], options: Abortable): Promise<boolean> {
    const { isBlobHere, access, peers } = this.#components
    const missing: Digest[] = []
    for (const blob of blobs) if (!(await isBlobHere(repository, blob))) missing.push(blob)
    if (!missing.every((blob) => access.isLinked(repository, blob))) return false
    const found = await Promise.all(missing.map((blob) => peers.hasBlob(repository.registry, blob, options)))
    return found.every(Boolean)
  }
}

function withoutAll(digests: readonly Digest[], others: readonly Digest[]): Digest[] {
  return others.length === 0 ? [...digests] : digests.filter((digest) => !others.includes(digest))
}
