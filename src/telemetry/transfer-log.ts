/**
 * What became of each chunk, as JSON lines in a file, for pictures and analysis. Owns the file and the lines that wait for it. A disk that is slow costs lines,
 * one that fails or is full ends the log, each with one warning; transfers never hear of either. Fed by the core's `TransferMetrics`.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { ChunkFate, TransferMetrics } from '../blob/ports.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'

/** About 2 MiB of lines. */
const MAX_WAITING = 10_000
/** A disk that hangs does not hold up the end of the agent. */
const STOP_MS = 1_000
/** A pipe that nobody reads is refused instead of waited for. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

export interface TransferLogComponents {
  readonly log: Logger
  readonly clock: Clock
}

export interface TransferLogInit {
  /** Appended to; rotated with copytruncate. */
  readonly file: string
  readonly maxWaiting?: number
}

export class TransferLog implements AsyncDisposable {
  readonly #components: TransferLogComponents
  readonly #file: string
  readonly #maxWaiting: number
  #waiting: string[] = []
  #writing: Promise<void> | undefined
  #handle: FileHandle | undefined
  #isOff = false
  #hasLost = false

  constructor(components: TransferLogComponents, init: TransferLogInit) {
    this.#components = components
    this.#file = init.file
    this.#maxWaiting = init.maxWaiting ?? MAX_WAITING
  }

  /** Counts as `metrics` does, and writes lines. */
  beside(metrics: TransferMetrics): TransferMetrics {
    return { ...metrics, chunk: (fate) => this.#add(fate) }
  }

  /** Writes what waits, if the disk takes it soon. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new AbortController()
    const patience = delay(STOP_MS, undefined, { signal: ended.signal }).catch(() => undefined)
    await Promise.race([this.#writing, patience])
    ended.abort()
    this.#isOff = true
    if (this.#writing === undefined) await this.#close()
  }

  #add({ digest, chunk, source, peer, event }: ChunkFate): void {
    if (this.#isOff) return
    if (this.#waiting.length >= this.#maxWaiting) {
      if (!this.#hasLost) this.#components.log.warn({ file: this.#file }, 'the disk is too slow for the transfer log')
      this.#hasLost = true
      return
    }
    const time = Math.round(this.#components.clock())
    this.#waiting.push(`${JSON.stringify({ time, digest, chunk, source, peer, event })}\n`)
    this.#writing ??= this.#write()
  }

  /** Never rejects: nobody waits for it. */
  async #write(): Promise<void> {
    try {
      this.#handle ??= await open(this.#file, FLAGS, 0o640)
      while (this.#waiting.length > 0) {
        const lines = this.#waiting.join('')
        this.#waiting = []
        await this.#handle.appendFile(lines)
      }
    } catch (error) {
      this.#isOff = true
      this.#waiting = []
      this.#components.log.warn({ file: this.#file, err: error }, 'the transfer log cannot be written and is off')
    }
    this.#writing = undefined
    if (this.#isOff) await this.#close()
  }

  async #close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close().catch(() => undefined)
  }
}
