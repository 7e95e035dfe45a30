import { type Digest, isDigest } from './digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from './media-type.ts'

export interface Platform {
  readonly os: string
  readonly architecture: string
  /** Of the processor, as `v7` of `arm`. */
  readonly variant?: string
}

export interface ChildManifest {
  readonly digest: Digest
  readonly platform: Platform | undefined
}

/** What a manifest or index refers to, whatever its type. */
export interface ManifestContents {
  /** As the document states it, else told from its shape. */
  readonly mediaType: string | undefined
  readonly artifactType: string | undefined
  /** Manifests that an index or manifest list holds. */
  readonly manifests: readonly ChildManifest[]
  /** Config and layers; the blobs of an artifact. */
  readonly blobs: readonly Digest[]
  /** Bytes of all these, as far as the document states them. */
  readonly sizes: ReadonlyMap<Digest, number>
  /** Of all these, what the document says is to be had at other places: registries take it without having it. */
  readonly elsewhere: readonly Digest[]
}

const NOTHING: ManifestContents = {
  mediaType: undefined,
  artifactType: undefined,
  manifests: [],
  blobs: [],
  sizes: new Map(),
  elsewhere: [],
}

/**
 * Reads any manifest leniently: fields that are missing or of another form are passed over, for the bytes are handed on
 * whatever they hold. https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md;
 * `fsLayers` are those of Docker's schema 1.
 */
export function readManifest(bytes: Uint8Array): ManifestContents {
  const document = parseObject(bytes)
  if (document === undefined) return NOTHING
  const manifests = objects(document['manifests']).flatMap(readChild)
  const listed = [document['config'], ...array(document['layers']), ...array(document['blobs'])]
  const blobs = listed.flatMap((entry) => digestsIn(entry, 'digest'))
  const described = [...listed, ...array(document['manifests'])]
  const schema1 = array(document['fsLayers']).flatMap((entry) => digestsIn(entry, 'blobSum'))
  return {
    mediaType: text(document['mediaType']) ?? shapeOf(document),
    artifactType: text(document['artifactType']),
    manifests,
    blobs: [...new Set([...blobs, ...schema1])],
    sizes: new Map(described.flatMap(sizeIn)),
    elsewhere: described.filter(hasUrls).flatMap((entry) => digestsIn(entry, 'digest')),
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    return object(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')))
  } catch {
    return undefined
  }
}

function shapeOf(document: Record<string, unknown>): string | undefined {
  if (Array.isArray(document['manifests'])) return OCI_INDEX
  if (Array.isArray(document['layers'])) return OCI_MANIFEST
  return undefined
}

function readChild(entry: Record<string, unknown>): ChildManifest[] {
  const platform = object(entry['platform'])
  const os = text(platform?.['os'])
  const architecture = text(platform?.['architecture'])
  const variant = text(platform?.['variant'])
  return digestsIn(entry, 'digest').map((digest) => ({
    digest,
    platform:
      os === undefined || architecture === undefined
        ? undefined
        : { os, architecture, ...(variant !== undefined && { variant }) },
  }))
}

function digestsIn(entry: unknown, field: string): Digest[] {
  const value = text(object(entry)?.[field])
  return value !== undefined && isDigest(value) ? [value] : []
}

function sizeIn(entry: unknown): [Digest, number][] {
  const size = object(entry)?.['size']
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return []
  return digestsIn(entry, 'digest').map((digest) => [digest, size])
}

function hasUrls(entry: unknown): boolean {
  return array(object(entry)?.['urls']).length > 0
}

function object(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function array(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function objects(value: unknown): Record<string, unknown>[] {
  return array(value)
    .map(object)
    .filter((entry) => entry !== undefined)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
