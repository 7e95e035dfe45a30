import type { Descriptor, Identity, ManifestBytes, Origin, OriginOptions, Scope } from '../../src/blob/ports.ts'
import { ShoalError } from '../../src/errors.ts'
import type { Digest } from '../../src/oci/digest.ts'

/** An origin for questions about manifests: what it has, and how it fails, is what the test says. */
export class FakeOrigin
  implements Pick<Origin, 'identity' | 'hasLiveMirror' | 'resolveTag' | 'fetchManifest' | 'checkManifest' | 'checkBlob'>
{
  readonly tags = new Map<string, Descriptor>()
  readonly manifests = new Map<Digest, ManifestBytes>()
  readonly asked: string[] = []
  /** Of requests without credentials of their own. */
  own: Identity = { key: 'anonymous', kind: 'anonymous' }
  /** Every question ends in it. */
  error: ShoalError | undefined
  /** No question is answered before its signal aborts. */
  isHanging = false
  /** Every question that is for mirrors only is answered nevertheless. */
  liveMirror = false
  /** Questions that were hanging and have been given up. */
  aborted = 0

  identity({ authorization }: Scope): Identity {
    return authorization === undefined ? this.own : { key: `client:${authorization}`, kind: 'client' }
  }

  hasLiveMirror(): boolean {
    return this.liveMirror
  }

  async resolveTag(_scope: Scope, tag: string, options: OriginOptions): Promise<Descriptor> {
    return await this.#answer(`tag ${tag}`, this.tags.get(tag), options)
  }

  async fetchManifest(_scope: Scope, digest: Digest, options: OriginOptions): Promise<ManifestBytes> {
    return await this.#answer(`get ${digest}`, this.manifests.get(digest), options)
  }

  async checkManifest(_scope: Scope, digest: Digest, options: OriginOptions): Promise<string | undefined> {
    return (await this.#answer(`head ${digest}`, this.manifests.get(digest), options)).mediaType
  }

  async checkBlob(_scope: Scope, digest: Digest, options: OriginOptions): Promise<number> {
    return await this.#answer(`blob ${digest}`, 1, options)
  }

  goDown(): void {
    this.error = new ShoalError('ORIGIN_UNAVAILABLE', 'down')
  }

  async #answer<T>(
    question: string,
    answer: T | undefined,
    { signal, mirrorsOnly = false }: OriginOptions,
  ): Promise<T> {
    this.asked.push(question)
    if (this.isHanging && !mirrorsOnly) {
      const { promise, reject } = Promise.withResolvers<never>()
      const onAbort = (): void => {
        this.aborted += 1
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      await promise
    }
    signal.throwIfAborted()
    if (this.error !== undefined && !mirrorsOnly) throw this.error
    if (answer === undefined) throw new ShoalError('MANIFEST_UNKNOWN', 'unknown')
    return answer
  }
}
