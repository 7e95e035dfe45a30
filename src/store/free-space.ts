import { statfs } from 'node:fs/promises'
import type { Clock } from '../util/clock.ts'

/** With so much free, the file system is not asked again for so long: a client waits for its first byte. */
const PLENTY_BYTES = 1024 * 1024 * 1024
const PLENTY_MS = 1_000

/** What the file system of a directory has for us. */
export class FreeSpace {
  readonly #clock: Clock
  readonly #dir: string
  /** What it had, if that was plenty. */
  #plenty = { bytes: 0, at: Number.NEGATIVE_INFINITY }

  constructor(components: { clock: Clock }, init: { dir: string }) {
    this.#clock = components.clock
    this.#dir = init.dir
  }

  /** @returns undefined if it does not say */
  async bytes(): Promise<number | undefined> {
    const { bytes, at } = this.#plenty
    if (this.#clock() - at < PLENTY_MS) return bytes
    try {
      const { bavail, bsize } = await statfs(this.#dir)
      const free = bavail * bsize
      if (free >= PLENTY_BYTES) this.#plenty = { bytes: free, at: this.#clock() }
      return free
    } catch {
      return undefined
    }
  }
}
