import { ShoalError } from '../errors.ts'

declare const brand: unique symbol

/** `algorithm:hex`, checked. A string, so that it can be a key of a Map. */
export type Digest = string & { readonly [brand]: 'Digest' }

export type DigestAlgorithm = 'sha256' | 'sha512'

const FORM = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/

/**
 * Grammar: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests (the registered algorithms).
 * @throws ShoalError DIGEST_INVALID
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new ShoalError('DIGEST_INVALID', 'not a sha256 or sha512 digest', { detail: { digest: text.slice(0, 140) } })
  }
  return text
}

export function isDigest(text: string): text is Digest {
  return FORM.test(text)
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512'
}

export function digestHex(digest: Digest): string {
  return digest.slice(7)
}

/** @param hex lower-case hex of the hash, as `Hash.digest('hex')` gives it */
export function digestOf(algorithm: DigestAlgorithm, hex: string): Digest {
  return parseDigest(`${algorithm}:${hex}`)
}
