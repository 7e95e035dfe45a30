import { type FileHandle, open } from 'node:fs/promises'

// libuv has four threads for all file work: syncs, which may take seconds, must leave some for readers.
const MAX_SYNCS = 2

/** The disk syncs of a store, a bounded number at a time. */
export class FileSync {
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** Syncs the bytes of the file, and its length. */
  async data(handle: FileHandle): Promise<void> {
    await this.#run(() => handle.datasync())
  }

  /** The same, unless other syncs are under way. @returns whether it was done */
  async dataIfIdle(handle: FileHandle): Promise<boolean> {
    if (this.#running > 0) return false
    await this.data(handle)
    return true
  }

  /** Makes renames and new names in the directory last. */
  async directory(path: string): Promise<void> {
    await this.#run(async () => {
      await using handle = await open(path, 'r')
      await handle.sync()
    })
  }

  async #run(work: () => Promise<void>): Promise<void> {
    if (this.#running >= MAX_SYNCS) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running += 1
    try {
      await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }
}
