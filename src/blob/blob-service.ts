/**
 * Blobs by digest: from the store, from the host's own content stores, from a transfer that runs, or from a new one.
 * Owns the transfers: one per digest. A transfer belongs to the registry it fetches from: what is wrong with one registry
 * never reaches the clients of another, who get the blob passed through meanwhile.
 */
import { createHash } from 'node:crypto'
import { hasCode, isOutage, ShoalError } from '../errors.ts'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Clock } from '../util/clock.ts'
import type { Lateness } from '../util/lateness.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { raceAbort } from '../util/race-abort.ts'
import { type Tracer, traced } from '../util/tracer.ts'
import type { Access, Principal } from './access.ts'
import { PassThroughReader } from './pass-through-reader.ts'
import type {
  Abortable,
  BlobReader,
  BlobStore,
  Origin,
  RepositoryIndex,
  Scope,
  Swarm,
  TransferMetrics,
} from './ports.ts'
import { RescuedReader } from './rescued-reader.ts'
import type { Blobs, CacheStatus, OpenBlob } from './services.ts'
import type { StatedSizes } from './stated-sizes.ts'
import { type Begun, type Outcome, Transfer, type TransferEnd } from './transfer.ts'
import type { TransferView } from './transfer-view.ts'

export interface BlobServiceComponents {
  readonly store: BlobStore
  /** Blobs that other programs keep on this host: read, never written. */
  readonly hostContent: {
    open(digest: Digest, options: Abortable): Promise<BlobReader | undefined>
    has(digest: Digest): Promise<boolean>
  }
  readonly origin: Origin
  readonly swarm: Swarm
  readonly access: Access
  readonly repositories: RepositoryIndex
  readonly sizes: StatedSizes
  readonly metrics: TransferMetrics
  readonly tracer: Tracer
  /** Of this agent; never, where nothing is said. */
  readonly lateness?: Lateness | undefined
  /** Told of every transfer that is over, with what it was at its end. Must not throw. */
  readonly onTransferEnd?: (view: TransferView, outcome: Outcome) => void
  readonly clock: Clock
  readonly log: Logger
}

export interface BlobServiceInit {
  /** So long the swarm is searched before the origin is asked. */
  readonly headStartMs: number
  /** So long a reader waits for better evidence than one agent's word. */
  readonly holdBackMs: number
  /** Other than that of any other agent: where it begins with what nobody waits for follows from it. */
  readonly seed: string
}

/** So many mismatches of one blob within the time, and it is refused at once: clients lose a minute on each. */
const MAX_MISMATCHES = 2
const MISMATCH_MEMORY_MS = 60_000
const MAX_MISMATCHED = 1_000

export interface RunningTransfer {
  readonly digest: Digest
  readonly size: number | undefined
  readonly verifiedChunks: number
  readonly chunks: number
  readonly readers: number
}

export class BlobService implements Blobs {
  readonly #components: BlobServiceComponents
  readonly #init: BlobServiceInit
  readonly #transfers = new Map<Digest, Transfer>()
  /** By registry and digest. */
  readonly #mismatches = lru<string, number>(MAX_MISMATCHED, { ttl: MISMATCH_MEMORY_MS })
  /** Sizes of blobs that did not have their digest with bytes from peers: the origin is asked first then. */
  readonly #doubted = lru<Digest, ReadonlySet<number>>(MAX_MISMATCHED, { ttl: MISMATCH_MEMORY_MS })

  constructor(components: BlobServiceComponents, init: BlobServiceInit) {
    this.#components = components
    this.#init = init
  }

  open(scope: Scope, digest: Digest, options: Abortable): Promise<OpenBlob> {
    return traced(this.#components.tracer, 'open blob', { 'shoal.digest': digest }, async (span) => {
      const blob = await this.#openFor(scope, digest, options)
      span.set({ 'shoal.cache': blob.cacheStatus, 'shoal.size': blob.size })
      return blob
    })
  }

  async #openFor(scope: Scope, digest: Digest, options: Abortable): Promise<OpenBlob> {
    const { access, log } = this.#components
    const principal = access.principal(scope)
    try {
      if (digestAlgorithm(digest) !== 'sha256') return await this.#passThrough(principal, digest, options)
      const reader =
        (await this.#openHostContent(principal, digest, options)) ?? (await this.#open(principal, digest, options))
      const rescue = (late: Abortable): Promise<OpenBlob> => this.#passThrough(principal, digest, late, true)
      return reader.cacheStatus === 'pass-through' ? reader : new RescuedReader({ log, rescue }, reader)
    } catch (error) {
      access.refused(principal, error)
      if (!hasCode(error, 'STORE_FULL', 'STORE_FAILED')) throw error
      log.warn({ digest, err: error }, 'the blob cannot be stored, passing it through')
      return this.#passThrough(principal, digest, options)
    }
  }

  async stat(scope: Scope, digest: Digest, options: Abortable): Promise<{ readonly size: number }> {
    const { store, access, origin, swarm } = this.#components
    const principal = access.principal(scope)
    const stored = store.stat(digest)
    if (stored !== undefined && access.mayVouch(scope.repository.registry, digest)) {
      await access.ensure(principal, digest, 'blob', options)
      return { size: stored.size }
    }
    try {
      const size = await origin.checkBlob(scope, digest, options)
      access.answered(principal, digest)
      if (size !== undefined) return { size }
    } catch (error) {
      access.refused(principal, error)
      if (!isOutage(error) || !swarm.hasPeers) throw error
    }
    const blob = await this.open(scope, digest, options)
    await blob.close()
    return { size: blob.size }
  }

  /** Whether clients of the repository can have the blob without its origin. */
  async isHere(repository: Repository, digest: Digest): Promise<boolean> {
    const { store, hostContent, access } = this.#components
    if (!access.isLinked(repository, digest)) return false
    return store.stat(digest) !== undefined || (await hostContent.has(digest))
  }

  /** The one of this digest, for what peers may have of it. */
  runningTransfer(digest: Digest): Transfer | undefined {
    return this.#transfers.get(digest)
  }

  list(): RunningTransfer[] {
    return [...this.#transfers.values()].map((transfer) => ({
      digest: transfer.digest,
      size: transfer.size,
      verifiedChunks: transfer.progress.verified,
      chunks: transfer.progress.count,
      readers: transfer.readerCount,
    }))
  }

  /** The same in full. */
  views(): TransferView[] {
    return [...this.#transfers.values()].map((transfer) => transfer.view())
  }

  /** Ends all transfers; what has arrived is kept. */
  async stop(): Promise<void> {
    await Promise.all([...this.#transfers.values()].map((transfer) => transfer.stop()))
  }

  /** Other programs fetched it from who knows where: only a registry that is trusted, or sent it once, opens it. */
  async #openHostContent(principal: Principal, digest: Digest, options: Abortable): Promise<OpenBlob | undefined> {
    const { store, access, hostContent, log } = this.#components
    if (store.stat(digest) !== undefined || this.#transfers.has(digest)) return undefined
    if (!access.mayVouch(principal.scope.repository.registry, digest)) return undefined
    if (!(await hostContent.has(digest))) return undefined
    await access.ensure(principal, digest, 'blob', options)
    try {
      const found = await hostContent.open(digest, options)
      return found && marked(found, 'hit')
    } catch (error) {
      options.signal.throwIfAborted()
      log.warn({ digest, err: error }, 'content of the host cannot be read')
      return undefined
    }
  }

  /** Each turn decides on what is so at one moment; whoever waits decides anew. */
  async #open(principal: Principal, digest: Digest, options: Abortable): Promise<OpenBlob> {
    const { store, access } = this.#components
    const { registry } = principal.scope.repository
    let isAdmitted = access.isKnown(principal, digest)
    for (;;) {
      const running = this.#transfers.get(digest)
      const isStored = store.stat(digest) !== undefined
      const kept = this.#isPartialOf(registry, digest) ? store.partialSize(digest) : undefined
      const isForeign =
        running === undefined ? isStored && !access.mayVouch(registry, digest) : running.registry !== registry
      if (isForeign) return this.#passThrough(principal, digest, options)
      if ((isStored || running !== undefined || kept !== undefined) && !isAdmitted) {
        // Bytes are here that this client did not cause to come: it must be allowed to have them.
        await access.ensure(principal, digest, 'blob', options)
        isAdmitted = true
        continue
      }
      if (running !== undefined) {
        const reader = await this.#join(running, principal, options)
        if (reader !== undefined) return marked(reader, 'miss')
      } else if (isStored) {
        const reader = await this.#openStored(digest)
        if (reader !== undefined) return marked(reader, 'hit')
      } else {
        return marked(await this.#start(principal, digest, kept, options), 'miss')
      }
    }
  }

  /** @returns undefined when it turned out not to be there */
  async #openStored(digest: Digest): Promise<BlobReader | undefined> {
    try {
      return await this.#components.store.open(digest)
    } catch (error) {
      if (hasCode(error, 'BLOB_UNKNOWN')) return undefined
      throw error
    }
  }

  /** @returns undefined when the transfer ended before it could be joined */
  async #join(
    running: Transfer,
    { scope, identity }: Principal,
    { signal }: Abortable,
  ): Promise<BlobReader | undefined> {
    const isReady = await raceAbort(
      running.ready().then(
        () => true,
        () => false,
      ),
      signal,
    )
    if (isReady && !running.isOver && this.#transfers.get(running.digest) === running) {
      running.addSource(this.#components.origin.blobSource(scope, running.digest), identity.key)
      return running.openReader()
    }
    await raceAbort(running.ended, signal)
    return undefined
  }

  async #start(
    principal: Principal,
    digest: Digest,
    kept: number | undefined,
    options: Abortable,
  ): Promise<BlobReader> {
    const { access, origin, store, swarm, repositories, clock, log, metrics, tracer, lateness } = this.#components
    const { scope, identity } = principal
    const { registry } = scope.repository
    const mismatches = this.#mismatches.get(`${registry} ${digest}`) ?? 0
    if (mismatches >= MAX_MISMATCHES) {
      throw new ShoalError('DIGEST_MISMATCH', 'the origin sent other bytes again and again', { detail: { digest } })
    }
    const doubtedSizes = this.#doubted.get(digest)
    const onEnd = ({ outcome, size, usedPeers }: TransferEnd): void => {
      // Peers give in a registry's name only what that has sent itself.
      if (outcome === 'complete') access.served(registry, digest)
      if (outcome === 'mismatched') {
        if (usedPeers)
          this.#doubted.set(digest, new Set([...(doubtedSizes ?? []), ...(size === undefined ? [] : [size])]))
        else this.#mismatches.set(`${registry} ${digest}`, mismatches + 1)
      }
      this.#transfers.delete(digest)
      this.#components.onTransferEnd?.(transfer.view(), outcome)
    }
    const { headStartMs, holdBackMs } = this.#init
    const transfer = new Transfer(
      { store, swarm, clock, log, metrics, tracer, lateness },
      { digest, registry, headStartMs, holdBackMs, offset: this.#offset(digest), onEnd },
    )
    this.#transfers.set(digest, transfer)
    repositories.link(partialsOf(registry), [digest])
    const source = origin.blobSource(scope, digest, { mirrorsLast: mismatches > 0 })
    const beginning = {
      key: identity.key,
      kept,
      isCautious: doubtedSizes !== undefined,
      statedSize: this.#components.sizes.of(digest),
      doubtedSizes: doubtedSizes ?? new Set<number>(),
    }
    const begun = await raceAbort(transfer.begin(source, beginning), options.signal)
    if (begun.by === 'origin') access.answered(principal, digest)
    // Without a reader, what peers bring may be complete and put away before the client is admitted.
    const reader = transfer.openReader()
    if (begun.by === 'peers') await this.#admit(principal, transfer, reader, begun, options)
    return reader
  }

  /** Bytes come from peers: the origin must admit this client all the same. */
  async #admit(
    principal: Principal,
    transfer: Transfer,
    reader: BlobReader,
    { originAnswer: proof }: Extract<Begun, { by: 'peers' }>,
    { signal }: Abortable,
  ): Promise<void> {
    try {
      await this.#components.access.ensure(principal, transfer.digest, 'blob', { signal, ...(proof && { proof }) })
    } catch (error) {
      await reader.close()
      if (!signal.aborted) transfer.abandon()
      throw error
    }
  }

  /** As `TransferInit`: another one for each blob and agent. */
  #offset(digest: Digest): number {
    return createHash('sha256').update(`${this.#init.seed} ${digest}`).digest().readUInt32BE() / 2 ** 32
  }

  #isPartialOf(registry: string, digest: Digest): boolean {
    return this.#components.repositories.isLinked(partialsOf(registry), digest)
  }

  async #passThrough(principal: Principal, digest: Digest, options: Abortable, mirrorsLast = false): Promise<OpenBlob> {
    const { origin, access, metrics } = this.#components
    const { scope } = principal
    const onVerified = (): void => access.served(scope.repository.registry, digest)
    const source = origin.blobSource(scope, digest, { mirrorsLast })
    const onBytes = (bytes: number): void => metrics.received('origin', bytes)
    const reader = await PassThroughReader.open({ source, onBytes, onVerified }, { digest }, options)
    access.answered(principal, digest)
    metrics.passedThrough()
    return reader
  }
}

function marked(reader: BlobReader, cacheStatus: CacheStatus): OpenBlob {
  return {
    digest: reader.digest,
    size: reader.size,
    cacheStatus,
    read: (target, position, options) => reader.read(target, position, options),
    close: () => reader.close(),
  }
}

/** Stands for the partial blobs that a registry has sent, in the index of repositories: no repository has such a name. */
function partialsOf(registry: string): Repository {
  return { registry, name: '.partial' }
}
