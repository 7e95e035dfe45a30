/** How far what is here of a chunk may be believed, and who may read it for that. Pure. */

/**
 * - own: this agent got the bytes from an origin
 * - agreed: two signers or more state this hash and nobody another one
 * - lone: one signer states it, and nobody another one
 * - contested: other hashes are stated too
 * - none: nobody states this hash (any more)
 */
export type Evidence = 'own' | 'agreed' | 'lone' | 'contested' | 'none'

/**
 * Whether readers may have a chunk before the digest of the whole blob matched.
 * @param lonePasses a reader has waited so long that one agent's word is all there is
 */
export function isReleased(evidence: Evidence, lonePasses: boolean): boolean {
  return evidence === 'own' || evidence === 'agreed' || (evidence === 'lone' && lonePasses)
}
