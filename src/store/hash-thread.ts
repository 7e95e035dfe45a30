import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ShoalError } from '../errors.ts'
import type { HashAnswer, HashJob, HashRequest } from './hash-job.ts'

/** In the npm package the sources are JavaScript: Node strips no types below node_modules. */
const EXTENSION = extname(import.meta.filename)

interface Waiting {
  resolve(hash: string): void
  reject(error: ShoalError): void
}

/**
 * One worker thread and the jobs it was given. A job settles only when the thread has stopped reading for it, also when
 * the thread dies: until then its file must stay open.
 */
export class HashThread {
  readonly #worker = new Worker(new URL(`./hash-worker${EXTENSION}`, import.meta.url), { execArgv: [] })
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited = Promise.withResolvers<void>()
  #nextId = 0
  #cause: unknown
  #ending = false
  #alive = true
  #hasAnswered = false
  #idSeen = -1
  /** Running digests that live in this thread. */
  streams = 0

  /** @param onDeath called once when the thread has ended without being asked to */
  constructor(onDeath: (cause: unknown) => void) {
    this.#worker.on('message', (answer: HashAnswer) => this.#settle(answer))
    this.#worker.on('error', (error) => {
      this.#cause = error
    })
    this.#worker.on('exit', (code) => {
      this.#alive = false
      for (const waiting of this.#waiting.values()) waiting.reject(this.#death(code))
      this.#waiting.clear()
      this.#exited.resolve()
      if (!this.#ending) onDeath(this.#cause)
    })
    this.#worker.unref()
  }

  get alive(): boolean {
    return this.#alive && !this.#ending
  }

  /** It has started: its first answer came. */
  get isReady(): boolean {
    return this.alive && this.#hasAnswered
  }

  /** Jobs given and not answered. */
  get load(): number {
    return this.#waiting.size
  }

  get id(): number {
    return this.#worker.threadId
  }

  /** Whether nothing was asked of it since the last call and nothing lives in it. */
  checkIdle(): boolean {
    const isIdle = this.load === 0 && this.streams === 0 && this.#idSeen === this.#nextId
    this.#idSeen = this.#nextId
    return isIdle
  }

  run(job: HashJob): Promise<string> {
    if (!this.alive) return Promise.reject(this.#death(0))
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const id = this.#nextId++
    if (this.#waiting.size === 0) this.#worker.ref()
    this.#waiting.set(id, { resolve, reject })
    this.#worker.postMessage({ ...job, id } satisfies HashRequest)
    return promise
  }

  drop(stream: number): void {
    if (this.alive) this.#worker.postMessage({ op: 'drop', stream } satisfies HashRequest)
  }

  async end(): Promise<void> {
    this.#ending = true
    await this.#worker.terminate()
    await this.#exited.promise
  }

  #settle(answer: HashAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    if (waiting === undefined) return
    this.#waiting.delete(answer.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    this.#hasAnswered = true
    if ('hash' in answer) return waiting.resolve(answer.hash)
    const cause = Object.assign(new Error(answer.error), { code: answer.errno })
    waiting.reject(new ShoalError('STORE_FAILED', 'hashing failed', { cause }))
  }

  #death(code: number): ShoalError {
    if (this.#ending) return new ShoalError('STOPPING', 'the agent stops')
    const detail = { exitCode: code }
    return new ShoalError('STORE_FAILED', 'a hash thread died', { cause: this.#cause, detail })
  }
}
