/**
 * The connection encrypter of a swarm: noise, and then the proof of membership in the same step, so that libp2p never
 * sees a connection to somebody who is not a member. Owns nothing; what it learns goes to `admit`.
 */
import { randomBytes } from 'node:crypto'
import type { NoiseComponents } from '@chainsafe/libp2p-noise'
import { noise } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter, MessageStream, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { hasCode, ShoalError } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import { linkSignals } from '../../util/signals.ts'
import type { OwnLane } from '../swarm-ports.ts'
import { encodeHello, HELLO_MAX_BYTES, type Hello } from './hello.ts'
import { shakeHands, TurnedAway } from './membership-handshake.ts'
import { withoutId } from './peer-address.ts'
import type { Refusal, Refusals } from './refusals.ts'
import type { SwarmKey } from './swarm-secret.ts'

const PROTOCOL = '/shoal/noise/1'

/**
 * The responder may already speak the next protocol right behind its proof. From an initiator nothing comes before that, and it may
 * be a stranger, one of hundreds.
 */
const BUFFER_BYTES = { initiator: 256 * 1024, responder: 4 * HELLO_MAX_BYTES }

export interface EncrypterComponents {
  readonly clock: Clock
  /** Whether this peer may belong to the swarm at all, by its id alone. */
  readonly mayJoin: (id: string) => boolean
  readonly ownLane: () => OwnLane
  /** Of the swarm's secrets; asked at each handshake, for they may change. */
  readonly keys: () => readonly SwarmKey[]
  /** Somebody proved to be a member; the connection follows when libp2p has finished with it. */
  readonly admit: (peer: Admitted) => void
  readonly refusals: Pick<Refusals, 'note'>
}

export interface Admitted {
  readonly id: string
  readonly address: string
  readonly hello: Hello
  /** Of the secret by which it proved itself. */
  readonly key: SwarmKey
}

export interface EncrypterInit {
  readonly version: string
  readonly zone: string
  /** Both hellos and both proofs have to be here by then. */
  readonly helloMs: number
}

type Secured = SecuredConnection

export function membershipEncrypter(
  components: EncrypterComponents,
  init: EncrypterInit,
): (libp2p: NoiseComponents) => ConnectionEncrypter {
  return (libp2p) => {
    const channel = noise()(libp2p)
    const self = libp2p.peerId.toString()

    const prove = async (
      role: 'initiator' | 'responder',
      { raw, secure }: { raw: MessageStream; secure: (options: SecureConnectionOptions) => Promise<Secured> },
      options: SecureConnectionOptions | undefined,
    ): Promise<Secured> => {
      using deadline = linkSignals(options?.signal ? [options.signal] : [], init.helloMs)
      const { signal } = deadline
      try {
        const secured = await secure({ ...options, signal })
        const remote = secured.remotePeer.toString()
        if (!components.mayJoin(remote)) throw new ShoalError('DENIED', 'this peer is not allowed in this swarm')
        const messages = lpStream(secured.connection, {
          lengthEncoder: twoBytes,
          lengthDecoder: fromTwoBytes,
          maxLengthLength: 2,
          maxDataLength: HELLO_MAX_BYTES,
          maxBufferSize: BUFFER_BYTES[role],
        })
        const { hello, key } = await shakeHands(
          messages,
          { role, self, remote, hello: encodeHello(ownHello(components, init)), keys: components.keys() },
          { signal },
        )
        messages.unwrap()
        components.admit({ id: remote, address: addressOf(raw), hello, key })
        return secured
      } catch (error) {
        components.refusals.note(refusalOf(error), { role, at: addressOf(raw), error })
        throw error
      }
    }

    return {
      protocol: PROTOCOL,
      secureInbound: (raw, options) =>
        prove('responder', { raw, secure: (within) => channel.secureInbound(raw, within) }, options),
      secureOutbound: (raw, options) =>
        prove('initiator', { raw, secure: (within) => channel.secureOutbound(raw, within) }, options),
    }
  }
}

function ownHello({ clock, ownLane }: EncrypterComponents, { version, zone }: EncrypterInit): Hello {
  return { nonce: randomBytes(32), time: clock(), version, zone, lane: ownLane() }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof TurnedAway) return error.before === 'hello' ? 'id-refused' : 'secret-refused'
  if (hasCode(error, 'DENIED')) return 'not-allowed'
  if (hasCode(error, 'UNAUTHORIZED')) return 'wrong-secret'
  return hasCode(error, 'PEER_MISBEHAVED') ? 'malformed' : 'failed'
}

/** libp2p types the raw connection as a stream; it is one with an address. */
function addressOf(raw: MessageStream): string {
  return 'remoteAddr' in raw ? withoutId(String(raw.remoteAddr)) : ''
}

function twoBytes(length: number): Uint8Array {
  return Uint8Array.of(length >> 8, length & 0xff)
}

/** A RangeError asks for more bytes. */
function fromTwoBytes(bytes: { readonly byteLength: number; get(index: number): number }): number {
  if (bytes.byteLength < 2) throw new RangeError('not there yet')
  return bytes.get(0) * 256 + bytes.get(1)
}
