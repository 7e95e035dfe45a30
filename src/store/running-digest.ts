import { ShoalError } from '../errors.ts'
import type { HashThread } from './hash-thread.ts'

/** How a running digest gets its threads. */
export interface HashThreads {
  /** A live thread to live in. @throws ShoalError STOPPING */
  home(): HashThread
  /** A thread other than `home` that has nothing to do. */
  idle(home: HashThread): HashThread | undefined
}

/** SHA-256 over ranges as they are appended, at home in one thread. Appends may be queued without waiting for each. */
export class RunningDigest {
  readonly #stream: number
  readonly #threads: HashThreads
  #thread: HashThread | undefined
  #fresh = true

  constructor(components: { threads: HashThreads }, init: { stream: number }) {
    this.#threads = components.threads
    this.#stream = init.stream
  }

  /**
   * Extends the digest by the bytes [start, end) of the file.
   * @param known SHA-256 of these bytes alone, if it need not be computed
   * @returns SHA-256 of these bytes alone, lower-case hex
   * @throws ShoalError STORE_FAILED; the digest then has to be started again
   */
  async append(fd: number, start: number, end: number, known?: string): Promise<string> {
    const fresh = this.#fresh
    if (fresh) this.#home()
    const thread = this.#thread
    if (thread === undefined) throw new ShoalError('STORE_FAILED', 'nothing was appended to the running digest')
    this.#fresh = false
    // Two hashes over the same bytes take twice as long as one: an idle thread takes the second.
    const helper = fresh || known !== undefined ? undefined : this.#threads.idle(thread)
    const appended = thread.run({
      op: 'append',
      stream: this.#stream,
      fresh,
      own: helper === undefined && known === undefined,
      fd,
      start,
      end,
    })
    if (helper === undefined) {
      const own = await appended
      return known ?? own
    }
    const own = helper.run({ op: 'range', fd, start, end })
    // Both have to end before the caller may close the file.
    const results = await Promise.allSettled([own, appended])
    for (const result of results) if (result.status === 'rejected') throw result.reason
    return await own
  }

  /** @returns SHA-256 of everything appended, lower-case hex */
  async finish(): Promise<string> {
    if (this.#thread === undefined || this.#fresh) {
      throw new ShoalError('STORE_FAILED', 'nothing was appended to the running digest')
    }
    return await this.#thread.run({ op: 'finish', stream: this.#stream })
  }

  /** The next append is the first again. */
  restart(): void {
    this.#fresh = true
  }

  /** Frees what the thread keeps for it. */
  drop(): void {
    if (this.#thread === undefined) return
    this.#thread.drop(this.#stream)
    this.#thread.streams -= 1
    this.#thread = undefined
    this.#fresh = true
  }

  #home(): void {
    if (this.#thread?.alive) return
    if (this.#thread !== undefined) this.#thread.streams -= 1
    this.#thread = this.#threads.home()
    this.#thread.streams += 1
  }
}
