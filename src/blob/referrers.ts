import { hasCode } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { OCI_INDEX } from '../oci/media-type.ts'
import type { Abortable, ListAnswer, Origin, Scope } from './ports.ts'
import type { ManifestAnswer } from './services.ts'

/**
 * What refers to a digest: from the origin's API, else from the tag that clients of registries without it keep, else
 * an empty index. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
export async function answerReferrers(
  from: { readonly origin: Origin; readonly getManifest: (tag: string) => Promise<ManifestAnswer> },
  scope: Scope,
  digest: Digest,
  query: URLSearchParams,
  options: Abortable,
): Promise<ListAnswer> {
  const native = await from.origin.listReferrers(scope, digest, query.toString(), options)
  if (native !== undefined) return native
  const all = await readFallbackTag(from.getManifest, digest)
  const artifactType = query.get('artifactType')
  const manifests = artifactType === null ? all : all.filter((entry) => entry['artifactType'] === artifactType)
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
  return {
    contentType: OCI_INDEX,
    link: undefined,
    filtersApplied: artifactType === null ? undefined : 'artifactType',
    body: Buffer.from(JSON.stringify(index)),
  }
}

async function readFallbackTag(
  getManifest: (tag: string) => Promise<ManifestAnswer>,
  digest: Digest,
): Promise<Record<string, unknown>[]> {
  try {
    const { bytes } = await getManifest(digest.replace(':', '-').slice(0, 128))
    const index: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof index !== 'object' || index === null || !('manifests' in index)) return []
    const { manifests } = index
    return Array.isArray(manifests) ? manifests.filter((entry) => typeof entry === 'object' && entry !== null) : []
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN')) return []
    throw error
  }
}
