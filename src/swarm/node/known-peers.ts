/**
 * The peers of the last run, by which an agent finds its swarm again when no configured address answers. A small JSON
 * file in the data directory, written whole and seldom; losing it costs nothing but that.
 */
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Logger } from '../../util/logger.ts'
import { isNumericMultiaddr, type PeerAddress, parseMultiaddr } from '../membership/peer-address.ts'

const MAX_PEERS = 100
const MAX_ADDRESSES = 3
const MAX_FILE_BYTES = 256 * 1024

const schema = z.object({
  peers: z
    .array(
      z.object({
        id: z.string().regex(/^[A-Za-z0-9]{1,128}$/),
        addresses: z.array(z.string().refine(isNumericMultiaddr)).max(MAX_ADDRESSES),
      }),
    )
    .max(MAX_PEERS),
})

export interface KnownPeersInit {
  /** Undefined: nothing is kept. */
  readonly path: string | undefined
  /** Between a change and the file. */
  readonly saveMs: number
}

export class KnownPeers {
  readonly #log: Logger
  readonly #init: KnownPeersInit
  /** Addresses by id; the one noted last is the last. */
  readonly #peers = new Map<string, readonly string[]>()
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> = Promise.resolve()
  /** Told once: a full disk stays full for a while. */
  #isFailing = false

  constructor(components: { log: Logger }, init: KnownPeersInit) {
    this.#log = components.log
    this.#init = init
  }

  /** The last noted first. */
  addresses(): PeerAddress[] {
    return [...this.#peers].toReversed().flatMap(([id, addresses]) =>
      addresses.flatMap((text) => {
        const address = parseMultiaddr(text)
        return address === undefined ? [] : [{ ...address, id }]
      }),
    )
  }

  /** @param addresses multiaddrs under which the peer is reached, the best first */
  note(id: string, addresses: readonly string[]): void {
    const usable = addresses.filter(isNumericMultiaddr).slice(0, MAX_ADDRESSES)
    if (usable.length === 0) return
    const isNew = this.#peers.get(id)?.join() !== usable.join()
    this.#peers.delete(id)
    this.#peers.set(id, usable)
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= MAX_PEERS) break
      this.#peers.delete(oldest)
    }
    if (!isNew || this.#init.path === undefined) return
    this.#timer ??= setTimeout(() => this.#save(), this.#init.saveMs).unref()
  }

  /** A file that is not there or not good is as if nobody was known. */
  async load(): Promise<void> {
    const { path } = this.#init
    if (path === undefined) return
    try {
      const bytes = await readFile(path)
      if (bytes.length > MAX_FILE_BYTES) throw new RangeError('too large')
      for (const { id, addresses } of schema.parse(JSON.parse(bytes.toString('utf8'))).peers)
        if (!this.#peers.has(id)) this.#peers.set(id, addresses)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#log.warn({ path, err: error }, 'the peers of the last run are not readable')
    }
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) this.#save()
    await this.#saving
  }

  #save(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#saving = this.#saving.then(() => this.#write())
  }

  async #write(): Promise<void> {
    const { path } = this.#init
    if (path === undefined) return
    const temporary = `${path}.tmp`
    const peers = [...this.#peers].map(([id, addresses]) => ({ id, addresses }))
    try {
      await writeFile(temporary, `${JSON.stringify({ peers })}\n`, { mode: 0o600 })
      await rename(temporary, path)
      this.#isFailing = false
    } catch (error) {
      const level = this.#isFailing ? 'debug' : 'warn'
      this.#isFailing = true
      this.#log[level]({ path, err: error }, 'the peers of this run are not saved')
      await rm(temporary, { force: true }).catch(() => {})
    }
  }
}
