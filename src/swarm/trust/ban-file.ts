/**
 * Keeps the bans across restarts, and which proofs have counted: a JSON file that is replaced as a whole. Owns the writes to it, one at a time, the newest state last. A file
 * that can't be read or written costs the memory of bans, nothing else.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Logger } from '../../util/logger.ts'
import type { Ban } from '../swarm-ports.ts'

const MAX_FILE_BYTES = 1024 * 1024

export interface BanRecord {
  readonly bans: readonly Ban[]
  /** Keys of proofs that counted once, the oldest first. */
  readonly spent: readonly string[]
}

const time = z.number().nonnegative()
const schema = z.object({
  bans: z.array(
    z.object({
      peer: z.string().min(1).max(128),
      reason: z.enum(['false-map', 'false-claim', 'wrong-bytes', 'protocol']),
      since: time,
      until: time,
      fromPeer: z.string().max(128).optional(),
    }),
  ),
  spent: z.array(z.string().max(64)).default([]),
})

export class BanFile {
  readonly #log: Logger
  readonly #path: string
  #next: BanRecord | undefined
  #writing: Promise<void> | undefined
  /** Told once: a full disk stays full for a while. */
  #isFailing = false

  constructor(components: { readonly log: Logger }, init: { readonly path: string }) {
    this.#log = components.log
    this.#path = init.path
  }

  async load(): Promise<BanRecord> {
    try {
      const text = await readFile(this.#path)
      if (text.length > MAX_FILE_BYTES) throw new RangeError('too long')
      const { bans, spent } = schema.parse(JSON.parse(text.toString()))
      return {
        bans: bans.map(({ fromPeer, peer, reason, since, until }) => ({ peer, reason, since, until, fromPeer })),
        spent,
      }
    } catch (error) {
      const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isMissing) this.#log.warn({ err: error, path: this.#path }, 'bans of earlier runs can not be read')
      return { bans: [], spent: [] }
    }
  }

  /** Soon, in the background. */
  save(record: BanRecord): void {
    this.#next = record
    this.#writing ??= this.#write()
  }

  /** Resolves when what was given to `save` is on disk. */
  async flush(): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    try {
      while (this.#next !== undefined) {
        const record = this.#next
        this.#next = undefined
        await writeFile(`${this.#path}.new`, JSON.stringify(record), { mode: 0o600 })
        await rename(`${this.#path}.new`, this.#path)
        this.#isFailing = false
      }
    } catch (error) {
      const level = this.#isFailing ? 'debug' : 'warn'
      this.#isFailing = true
      this.#log[level]({ err: error, path: this.#path }, 'bans can not be kept for the next run')
    } finally {
      this.#writing = undefined
    }
  }
}
