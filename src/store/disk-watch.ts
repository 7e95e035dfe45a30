import { constants } from 'node:fs'
import { access, statfs } from 'node:fs/promises'
import { ENOUGH_BYTES, type WriteHealth } from './write-health.ts'

/** Two system calls each; what people see of the disk is at most so old. */
const LOOK_MS = 5_000

export interface DiskWatchComponents {
  readonly writes: Pick<WriteHealth, 'hasRoom'>
  /** Bytes that could make room. Asked only where little is free. */
  readonly evictableBytes: () => number
}

/**
 * Looks again and again whether the disk of the data directory has room and may be written: else nothing would be known of it
 * between one blob and the next. Created, started and stopped by the store.
 */
export class DiskWatch {
  readonly #components: DiskWatchComponents
  readonly #dir: string
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  /** A file system over the network may take for ever. */
  #isLooking = false

  constructor(components: DiskWatchComponents, init: { readonly dir: string; readonly everyMs?: number }) {
    this.#components = components
    this.#dir = init.dir
    this.#everyMs = init.everyMs ?? LOOK_MS
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), this.#everyMs).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const bytes = await this.#roomBytes()
      if (this.#timer !== undefined) this.#components.writes.hasRoom(bytes)
    } catch {
      // it does not say
    } finally {
      this.#isLooking = false
    }
  }

  async #roomBytes(): Promise<number> {
    try {
      await access(this.#dir, constants.W_OK)
    } catch {
      return 0
    }
    const { bavail, bsize, files, ffree } = await statfs(this.#dir)
    // file systems without a fixed number of inodes say 0 of 0
    const free = files > 0 && ffree === 0 ? 0 : bavail * bsize
    return free >= ENOUGH_BYTES ? free : free + this.#components.evictableBytes()
  }
}
