import type { Abortable, Scope } from '../blob/ports.ts'
import type { ManifestAnswer, Manifests } from '../blob/services.ts'
import { ShoalError } from '../errors.ts'
import type { Digest } from '../oci/digest.ts'
import { type ChildManifest, type Platform, readManifest } from '../oci/manifest.ts'
import { chooseForPlatform, formatPlatform } from '../oci/platform.ts'
import type { Repository } from '../oci/reference.ts'

export interface PlannedBlob {
  readonly digest: Digest
  readonly size: number | undefined
  /** The registry has it only by reference: clients get it from the URLs of the manifest. */
  readonly isElsewhere: boolean
}

export interface ImagePlan {
  /** What the name stands for, the index if there is one. */
  readonly digest: Digest
  readonly platforms: readonly string[]
  readonly blobs: readonly PlannedBlob[]
}

/** More than any image has: an index may list others that list others. */
const MAX_DEPTH = 4
const MAX_MANIFESTS = 256
const MAX_BLOBS = 4096

/**
 * Reads what belongs to an image, for these platforms or `all`. Every manifest on the way is here then.
 * @param image.top what its name stands for
 * @throws ShoalError of the origin; MANIFEST_UNKNOWN when the image is not made for a platform
 */
export async function planImage(
  { manifests }: { readonly manifests: Pick<Manifests, 'get'> },
  { repository, top }: { readonly repository: Repository; readonly top: ManifestAnswer },
  platforms: readonly Platform[] | 'all',
  options: Abortable,
): Promise<ImagePlan> {
  const scope: Scope = { repository, authorization: undefined }
  const blobs = new Map<Digest, PlannedBlob>()
  const seen = new Set<Digest>()
  const named = new Set<string>()

  const visit = async ({ digest, bytes }: ManifestAnswer, depth: number): Promise<void> => {
    seen.add(digest)
    if (depth > MAX_DEPTH || seen.size > MAX_MANIFESTS) throw tooLarge()
    const contents = readManifest(bytes)
    for (const blob of contents.blobs) {
      const isElsewhere = contents.elsewhere.includes(blob)
      blobs.set(blob, { digest: blob, size: contents.sizes.get(blob), isElsewhere })
    }
    if (blobs.size > MAX_BLOBS) throw tooLarge()
    const chosen = platforms === 'all' ? contents.manifests : choose(contents.manifests, platforms)
    for (const child of chosen) {
      if (child.platform !== undefined) named.add(formatPlatform(child.platform))
      if (seen.has(child.digest)) continue
      await visit(await manifests.get(scope, { digest: child.digest }, options), depth + 1)
    }
  }
  await visit(top, 0)
  return { digest: top.digest, platforms: [...named], blobs: [...blobs.values()] }
}

function choose(children: readonly ChildManifest[], platforms: readonly Platform[]): readonly ChildManifest[] {
  if (children.length === 0) return []
  return platforms.map((wanted) => {
    const child = chooseForPlatform(children, wanted)
    if (child !== undefined) return child
    const known = children.flatMap(({ platform }) =>
      platform === undefined || platform.os === 'unknown' ? [] : [formatPlatform(platform)],
    )
    throw new ShoalError(
      'MANIFEST_UNKNOWN',
      `the image is not made for ${formatPlatform(wanted)}, but for ${[...new Set(known)].join(', ') || 'no platform'}`,
    )
  })
}

function tooLarge(): ShoalError {
  return new ShoalError('REQUEST_INVALID', 'the image lists more than any image has')
}
