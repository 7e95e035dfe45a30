import type { Abortable, SeenTag, Swarm } from '../../src/blob/ports.ts'
import type { Digest } from '../../src/oci/digest.ts'
import type { Repository } from '../../src/oci/reference.ts'

/** A swarm that knows just what the test says, for what goes on beside transfers. */
export class FakePeers implements Omit<Swarm, 'join'> {
  hasPeers = true
  peerCount = 1
  /** No question is ever answered, and no signal heeded. */
  isSilent = false
  /** Every question fails. */
  isBroken = false
  readonly small = new Map<Digest, Buffer>()
  readonly blobs = new Set<Digest>()
  /** By tag. */
  readonly tags = new Map<string, SeenTag>()
  /** By identity. */
  readonly admissions = new Map<string, number>()
  readonly links = new Set<Digest>()
  /** Kind of question and what it was about. */
  readonly asked: string[] = []
  readonly announced: Digest[] = []
  readonly announcedTags: string[] = []

  announce(digest: Digest): void {
    this.announced.push(digest)
  }

  announceTag(_repository: Repository, tag: string): void {
    this.announcedTags.push(tag)
  }

  async fetchSmall({ digest }: { digest: Digest }, _options: Abortable): Promise<Buffer | undefined> {
    return await this.#answer(`small ${digest}`, this.small.get(digest))
  }

  async findTag(_repository: Repository, tag: string, _options: Abortable): Promise<SeenTag | undefined> {
    return await this.#answer(`tag ${tag}`, this.tags.get(tag))
  }

  async findAdmission(
    _repository: Repository,
    identities: readonly string[],
    _options: Abortable,
  ): Promise<number | undefined> {
    const times = identities.map((identity) => this.admissions.get(identity) ?? 0)
    return await this.#answer(`admission ${identities.join(' ')}`, Math.max(...times) || undefined)
  }

  async findLink(_repository: Repository, digest: Digest, _options: Abortable): Promise<boolean> {
    return await this.#answer(`link ${digest}`, this.links.has(digest))
  }

  async hasBlob({ digest }: { digest: Digest }, _options: Abortable): Promise<boolean> {
    return await this.#answer(`blob ${digest}`, this.blobs.has(digest))
  }

  /** What was asked so far of one kind. */
  askedFor(kind: string): string[] {
    return this.asked.filter((question) => question.startsWith(`${kind} `))
  }

  async #answer<T>(question: string, answer: T): Promise<T> {
    this.asked.push(question)
    if (this.isSilent) await Promise.withResolvers<never>().promise
    if (this.isBroken) throw new Error('broken')
    return answer
  }
}
