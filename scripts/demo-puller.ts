import type { ImageClient } from '../test/fixtures/client.ts'
import { pullImage } from '../test/fixtures/pull.ts'

/** A client that every host has: it fetches manifest, config and layers, checks every digest, and keeps nothing. */
export class DemoPuller implements ImageClient {
  readonly name = 'built-in'
  readonly version = 'puller'
  readonly #facade: string
  readonly #configs = new Map<string, string>()

  /** @param init.facade `host:port` */
  constructor(init: { facade: string }) {
    this.#facade = init.facade
  }

  async pull(reference: string): Promise<void> {
    const [, name = '', tag = ''] = /^docker\.io\/(.+):([^:]+)$/.exec(reference) ?? []
    const { config } = await pullImage({ facade: this.#facade }, name, tag)
    this.#configs.set(reference, config)
  }

  async contentDigest(reference: string): Promise<string> {
    return this.#configs.get(reference) ?? 'not pulled'
  }

  async remove(reference: string): Promise<void> {
    this.#configs.delete(reference)
  }

  async close(): Promise<void> {}
}
