import { ShoalError } from '../errors.ts'
import type { ChildManifest, Platform } from './manifest.ts'

const FORM = /^([a-z0-9]{1,32})\/([a-z0-9_]{1,32})(?:\/([a-z0-9.]{1,32}))?$/

/** Other names of architectures: https://github.com/opencontainers/image-spec/blob/main/image-index.md#platform-variants */
const ALIASES: Partial<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64', armhf: 'arm', armel: 'arm/v6' }

/** What an architecture means without a variant; the same table. */
const PLAIN_VARIANTS: Partial<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' }

/** `os/architecture[/variant]`. @throws ShoalError REQUEST_INVALID */
export function parsePlatform(text: string): Platform {
  const [, os, named, given] = FORM.exec(text.toLowerCase()) ?? []
  if (os === undefined || named === undefined) {
    throw new ShoalError('REQUEST_INVALID', 'not a platform: expected os/architecture or os/architecture/variant', {
      detail: { platform: text.slice(0, 100) },
    })
  }
  const [architecture = named, implied] = (ALIASES[named] ?? named).split('/')
  const variant = given ?? implied
  return { os, architecture, ...(variant !== undefined && { variant }) }
}

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
}

/**
 * The image of an index that runs best on the platform. Of `arm` an older variant will do; where no variant is wanted any will.
 * One of unknown platform is taken only when nothing is known to fit.
 * @returns undefined when none fits
 */
export function chooseForPlatform(children: readonly ChildManifest[], wanted: Platform): ChildManifest | undefined {
  const fitting = children.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  )
  const variant = variantOf(wanted)
  const exact = fitting.find(({ platform }) => platform !== undefined && variantOf(platform) === variant)
  if (exact !== undefined) return exact
  if (wanted.architecture === 'arm' && variant !== undefined) {
    const older = fitting.filter(({ platform }) => (platform?.variant ?? '') < variant)
    const [best] = older.sort((a, b) => ((a.platform?.variant ?? '') < (b.platform?.variant ?? '') ? 1 : -1))
    return best
  }
  if (wanted.variant === undefined && fitting.length > 0) return fitting[0]
  return fitting.length > 0 ? undefined : children.find(({ platform }) => platform === undefined)
}

function variantOf({ architecture, variant }: Platform): string | undefined {
  return variant ?? PLAIN_VARIANTS[architecture]
}
