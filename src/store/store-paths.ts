import { join } from 'node:path'
import { type Digest, digestHex, digestOf } from '../oci/digest.ts'

const HEX = /^[a-f0-9]{64}$/

/** Where things lie in a data directory. Only sha256 digests have a place. */
export class StorePaths {
  readonly dir: string
  readonly blobs: string
  readonly partials: string
  readonly maps: string

  constructor(dir: string) {
    this.dir = dir
    this.blobs = join(dir, 'blobs', 'sha256')
    this.partials = join(dir, 'partial')
    this.maps = join(dir, 'maps')
  }

  get index(): string {
    return join(this.dir, 'index.sqlite')
  }

  blobDir(digest: Digest): string {
    return join(this.blobs, digestHex(digest).slice(0, 2))
  }

  blob(digest: Digest): string {
    return join(this.blobDir(digest), digestHex(digest))
  }

  mapDir(digest: Digest): string {
    return join(this.maps, digestHex(digest).slice(0, 2))
  }

  map(digest: Digest): string {
    return join(this.mapDir(digest), digestHex(digest))
  }

  partial(digest: Digest): string {
    return join(this.partials, digestHex(digest))
  }

  chunkLog(digest: Digest): string {
    return `${this.partial(digest)}.chunks`
  }

  /** For a blob that is written in one go; what a crash leaves of it is removed at the next start. */
  temporary(digest: Digest): string {
    return `${this.partial(digest)}.tmp`
  }
}

/** The digest that a file is named after, undefined for any other name. */
export function digestOfFileName(name: string): Digest | undefined {
  return HEX.test(name) ? digestOf('sha256', name) : undefined
}
