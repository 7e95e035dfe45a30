/**
 * Both sides prove that they know the secret of the swarm, without saying it. Runs inside a channel that has already
 * proved the ids of both. Messages, each with its length in two bytes before it:
 *
 *     both         hello
 *     initiator    proofs, one for each secret it knows    HMAC-SHA256(key, "shoal-proof-1" ‖ role ‖ SHA-256(hello of
 *     responder    proof, by the secret both know            the initiator) ‖ SHA-256(of the responder) ‖ both ids)
 *
 * The responder proves nothing before the initiator has: who dials without the secret gets nothing to guess it from.
 * The nonces in the hellos make every proof good for one handshake only.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { ShoalError } from '../../errors.ts'
import { decodeHello, type Hello } from './hello.ts'
import type { SwarmKey } from './swarm-secret.ts'

/** More secrets than anybody needs to change one for another. */
export const MAX_KEYS = 4
const PROOF_BYTES = 32

const ENDS = new Set(['UnexpectedEOFError', 'StreamResetError', 'StreamClosedError', 'ConnectionClosedError'])

type Role = 'initiator' | 'responder'

export interface HandshakeChannel {
  read(options: { signal: AbortSignal }): Promise<{ subarray(): Uint8Array }>
  write(message: Uint8Array, options: { signal: AbortSignal }): Promise<void>
}

export interface HandshakeSide {
  readonly role: Role
  /** Peer ids as text. */
  readonly self: string
  readonly remote: string
  /** Encoded; with a nonce that was never used before. */
  readonly hello: Uint8Array
  /** At least one. */
  readonly keys: readonly SwarmKey[]
}

export interface Handshake {
  /** Of the other side. */
  readonly hello: Hello
  /** Of the secret that both know, the first one of the responder. */
  readonly key: SwarmKey
}

/** The other side ended it. It does not say why; that it did so before it sent this tells what it had seen. */
export class TurnedAway extends ShoalError {
  readonly before: 'hello' | 'proof'

  constructor(before: 'hello' | 'proof', cause: unknown) {
    super('PEER_UNAVAILABLE', `the other side ended the handshake before its ${before}`, { cause })
    this.before = before
  }
}

/**
 * @throws ShoalError PEER_MISBEHAVED, UNAUTHORIZED when the other side does not know the secret; TurnedAway as initiator; the
 * channel's errors
 */
export async function shakeHands(
  channel: HandshakeChannel,
  side: HandshakeSide,
  { signal }: { signal: AbortSignal },
): Promise<Handshake> {
  let awaited: 'hello' | 'proof' = 'hello'
  try {
    await channel.write(side.hello, { signal })
    const theirs = (await channel.read({ signal })).subarray()
    awaited = 'proof'
    return await prove(channel, side, theirs, signal)
  } catch (error) {
    if (side.role === 'responder' || signal.aborted || !isEnd(error)) throw error
    throw new TurnedAway(awaited, error)
  }
}

async function prove(
  channel: HandshakeChannel,
  side: HandshakeSide,
  theirs: Uint8Array,
  signal: AbortSignal,
): Promise<Handshake> {
  const hello = decodeHello(theirs)
  const proofs = new Proofs(side, theirs)
  if (side.role === 'initiator') {
    await channel.write(proofs.all('initiator'), { signal })
    const key = proofs.match('responder', (await channel.read({ signal })).subarray())
    if (key === undefined) throw notProved()
    return { hello, key }
  }
  const key = proofs.match('initiator', (await channel.read({ signal })).subarray())
  if (key === undefined) throw notProved()
  await channel.write(proofs.of('responder', key), { signal })
  return { hello, key }
}

/** Of the connection, as libp2p and the system call it; not a message that is too long. */
function isEnd(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ENDS.has(error.name) || ('code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE'))
}

function notProved(): ShoalError {
  return new ShoalError('UNAUTHORIZED', 'the other side does not know the secret of this swarm')
}

class Proofs {
  readonly #keys: readonly SwarmKey[]
  readonly #transcript: Buffer

  constructor(side: HandshakeSide, theirs: Uint8Array) {
    this.#keys = side.keys
    const hellos = [sha256(side.hello), sha256(theirs)]
    const ids = [sha256(side.self), sha256(side.remote)]
    if (side.role === 'responder') {
      hellos.reverse()
      ids.reverse()
    }
    this.#transcript = Buffer.concat([...hellos, ...ids])
  }

  of(role: Role, key: SwarmKey): Buffer {
    return createHmac('sha256', key).update('shoal-proof-1').update(role).update(this.#transcript).digest()
  }

  all(role: Role): Buffer {
    return Buffer.concat(this.#keys.map((key) => this.of(role, key)))
  }

  /** The key that one of the proofs was made with. */
  match(role: Role, message: Uint8Array): SwarmKey | undefined {
    const count = message.length / PROOF_BYTES
    if (!Number.isInteger(count) || count < 1 || count > MAX_KEYS) return undefined
    return this.#keys.find((key) => {
      const expected = this.of(role, key)
      for (let i = 0; i < count; i++) {
        if (timingSafeEqual(expected, message.subarray(i * PROOF_BYTES, (i + 1) * PROOF_BYTES))) return true
      }
      return false
    })
  }
}

function sha256(data: Uint8Array | string): Buffer {
  return createHash('sha256').update(data).digest()
}
