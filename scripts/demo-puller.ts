import { createHash } from 'node:crypto'
import { MANIFEST_ACCEPT } from '../src/oci/media-type.ts'
import type { ImageClient } from '../test/fixtures/client.ts'

interface Manifest {
  readonly config: { readonly digest: string }
  readonly layers: readonly { readonly digest: string }[]
}

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
    const [, name, tag] = /^docker\.io\/(.+):([^:]+)$/.exec(reference) ?? []
    const base = `http://${this.#facade}/v2/${name}`
    const answer = await get(`${base}/manifests/${tag}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    check(answer.headers.get('docker-content-digest') ?? 'no digest', createHash('sha256').update(bytes).digest('hex'))
    const { config, layers } = JSON.parse(bytes.toString()) as Manifest
    await Promise.all([config, ...layers].map(({ digest }) => fetchBlob(base, digest)))
    this.#configs.set(reference, config.digest)
  }

  async contentDigest(reference: string): Promise<string> {
    return this.#configs.get(reference) ?? 'not pulled'
  }

  async remove(reference: string): Promise<void> {
    this.#configs.delete(reference)
  }

  async close(): Promise<void> {}
}

async function fetchBlob(base: string, digest: string): Promise<void> {
  const hash = createHash('sha256')
  const { body } = await get(`${base}/blobs/${digest}`)
  for await (const piece of body ?? []) hash.update(piece)
  check(digest, hash.digest('hex'))
}

async function get(url: string): Promise<Response> {
  const answer = await fetch(url, { headers: { accept: MANIFEST_ACCEPT } })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return answer
}

function check(digest: string, hex: string): void {
  if (digest !== `sha256:${hex}`) throw new Error(`what came for ${digest} has the digest sha256:${hex}`)
}
