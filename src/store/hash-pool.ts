import { availableParallelism } from 'node:os'
import { type ChunkPlan, chunkEnd, chunkStart } from '../blob/chunk-plan.ts'
import { ShoalError } from '../errors.ts'
import type { Logger } from '../util/logger.ts'
import { HashThread } from './hash-thread.ts'
import { RunningDigest } from './running-digest.ts'

/** One core is left to the event loop. Four threads hash more than any host's network brings. */
export const MAX_HASH_THREADS = Math.min(4, Math.max(1, availableParallelism() - 1))

// Short enough that a chunk somebody waits for is not held up behind the check of a large file.
const FILE_STEP_BYTES = 16 * 1024 * 1024

// A thread costs some 15 MB; starting one, some 50 ms.
const IDLE_CHECK_MS = 15_000

/**
 * SHA-256 of files, off the event loop. Threads start when they are needed, end when they were idle for a while, and do
 * not keep the process alive meanwhile. The file descriptor of a job must stay open until its promise settles: a closed number could already
 * belong to another file.
 */
export class HashPool implements AsyncDisposable {
  readonly #log: Logger
  readonly #maxThreads: number
  readonly #threads = new Set<HashThread>()
  #nextStream = 0
  #idleTimer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(components: { log: Logger }, init: { maxThreads: number }) {
    this.#log = components.log
    this.#maxThreads = init.maxThreads
  }

  /** Whether a job would not have to wait for a thread to start. */
  get isReady(): boolean {
    return [...this.#threads].some((thread) => thread.isReady)
  }

  /**
   * SHA-256 of the bytes [start, end) of the file, lower-case hex.
   * @throws ShoalError STORE_FAILED, STOPPING
   */
  async hashRange(fd: number, start: number, end: number): Promise<string> {
    return await this.#pick((thread) => thread.load).run({ op: 'range', fd, start, end })
  }

  /** Drop it when it is no longer needed. */
  runningDigest(): RunningDigest {
    const threads = {
      home: () => this.#pick((thread) => thread.streams),
      idle: (home: HashThread) => this.#idle(home),
    }
    return new RunningDigest({ threads }, { stream: this.#nextStream++ })
  }

  /** SHA-256 of the first `size` bytes, lower-case hex. @throws ShoalError STORE_FAILED, STOPPING, the signal's reason */
  async hashFile(fd: number, size: number, { signal }: { signal: AbortSignal }): Promise<string> {
    const running = this.runningDigest()
    try {
      let start = 0
      do {
        signal.throwIfAborted()
        const end = Math.min(size, start + FILE_STEP_BYTES)
        await running.append(fd, start, end)
        start = end
      } while (start < size)
      return await running.finish()
    } finally {
      running.drop()
    }
  }

  /**
   * SHA-256 of the whole file and of each of its chunks, lower-case hex, from one reading.
   * @throws ShoalError STORE_FAILED, STOPPING, the signal's reason
   */
  async hashChunks(
    fd: number,
    plan: ChunkPlan,
    { signal }: { signal: AbortSignal },
  ): Promise<{ readonly hash: string; readonly chunks: readonly string[] }> {
    const running = this.runningDigest()
    const chunks: string[] = []
    try {
      for (let index = 0; index < plan.count; index += 1) {
        signal.throwIfAborted()
        chunks.push(await running.append(fd, chunkStart(plan, index), chunkEnd(plan, index)))
      }
      return { hash: await running.finish(), chunks }
    } finally {
      running.drop()
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#idleTimer)
    const threads = [...this.#threads]
    this.#threads.clear()
    await Promise.all(threads.map((thread) => thread.end()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #pick(weight: (thread: HashThread) => number): HashThread {
    if (this.#stopped) throw new ShoalError('STOPPING', 'the agent stops')
    let best: HashThread | undefined
    for (const thread of this.#threads) {
      if (best === undefined || weight(thread) < weight(best)) best = thread
    }
    if (best === undefined || (weight(best) > 0 && this.#threads.size < this.#maxThreads)) best = this.#spawn()
    return best
  }

  #idle(home: HashThread): HashThread | undefined {
    for (const thread of this.#threads) if (thread !== home && thread.load === 0) return thread
    return this.#threads.size < this.#maxThreads && !this.#stopped ? this.#spawn() : undefined
  }

  #spawn(): HashThread {
    const thread = new HashThread((cause) => {
      this.#threads.delete(thread)
      this.#log.error({ err: cause }, 'a hash thread died')
    })
    this.#threads.add(thread)
    this.#idleTimer ??= setInterval(() => this.#endIdle(), IDLE_CHECK_MS).unref()
    return thread
  }

  #endIdle(): void {
    for (const thread of this.#threads) {
      if (!thread.checkIdle()) continue
      this.#threads.delete(thread)
      void thread.end()
    }
    if (this.#threads.size > 0) return
    clearInterval(this.#idleTimer)
    this.#idleTimer = undefined
  }
}
