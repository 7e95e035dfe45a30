/** A payload and the Ed25519 signature over `domain` and it: CBOR [payload, signature]. */
import { ShoalError } from '../../errors.ts'
import { decodeCanonical, encodeCanonical } from '../encoding/strict-cbor.ts'
import type { Members } from '../swarm-ports.ts'

const SIGNATURE_BYTES = 64

export interface Envelope {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** What is signed. The domain tells apart what one key signs for different uses. */
export function signedBytes(domain: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(domain), payload])
}

export async function seal(members: Pick<Members, 'sign'>, domain: string, payload: Uint8Array): Promise<Uint8Array> {
  return encodeCanonical([payload, await members.sign(signedBytes(domain, payload))])
}

/** Takes it apart; nothing is verified yet. @throws ShoalError PEER_MISBEHAVED */
export function openEnvelope(encoded: Uint8Array): Envelope {
  const value = decodeCanonical(encoded, { maxItems: 3 })
  if (!Array.isArray(value) || value.length !== 2) throw new ShoalError('PEER_MISBEHAVED', 'not signed')
  const [payload, signature] = value as unknown[]
  if (!(payload instanceof Uint8Array) || !(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) {
    throw new ShoalError('PEER_MISBEHAVED', 'not signed')
  }
  return { payload, signature }
}

/** @throws ShoalError PEER_MISBEHAVED when `signer` did not sign it */
export async function checkSigned(
  members: Pick<Members, 'verify'>,
  domain: string,
  signer: string,
  { payload, signature }: Envelope,
): Promise<void> {
  if (!(await members.verify(signer, signedBytes(domain, payload), signature))) {
    throw new ShoalError('PEER_MISBEHAVED', 'a signature does not match', { detail: { signer } })
  }
}
