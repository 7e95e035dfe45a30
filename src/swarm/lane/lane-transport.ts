import type { SocketConstructorOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { Abortable } from '../../blob/ports.ts'
import type { HostPort } from '../../util/host-port.ts'
import { raceAbort } from '../../util/race-abort.ts'
import { fingerprintOf, type LaneCertificate } from './lane-certificate.ts'
import { LANE_TLS } from './lane-protocol.ts'

/** Where bytes of a connection go. */
export interface LaneReceiver {
  /** Memory for the next bytes; they are given to `received` at once, and the rest of it comes back. */
  target(): Uint8Array
  /** @param bytes are the receiver's from now on @returns false to hold the connection back */
  received(bytes: Buffer): boolean
  /** Nothing more will come. Called once, even before the transport is known. */
  closed(error?: Error): void
}

/** A connection on which the lane is spoken, whatever carries it. */
export interface LaneTransport {
  readonly via: 'lane' | 'stream'
  write(text: string): void
  pause(): void
  /** Also after `received` gave false. */
  resume(): void
  destroy(): void
}

/** What `connectLane` shows at the other end; making it takes longer than most of what follows. */
export function laneContext({ certificate, key }: LaneCertificate): SecureContext {
  return createSecureContext({ ...LANE_TLS, cert: certificate, key })
}

/** Times in milliseconds. */
export interface LaneConnectDeadlines {
  /** Until something answers at the address. */
  readonly connectMs: number
  /** From then on: both ends may be busy. */
  readonly handshakeMs: number
}

/**
 * Connects to one address. The certificate is checked before anything is sent.
 * Bytes are read straight into the receiver's memory: as `data` events of node's own making they cost a tenth more.
 * @throws the socket's error, or the signal's reason
 */
export async function connectLane(
  own: SecureContext,
  { address, fingerprint, deadlines }: { address: HostPort; fingerprint: string; deadlines: LaneConnectDeadlines },
  receiver: LaneReceiver,
  { signal }: Abortable,
): Promise<LaneTransport> {
  signal.throwIfAborted()
  let ready = false
  const opened = Promise.withResolvers<void>()
  // the types of node leave out that a TLS socket reads this way too
  const init: ConnectionOptions & Pick<SocketConstructorOpts, 'onread'> = {
    host: address.host,
    port: address.port,
    secureContext: own,
    // nobody vouches for these certificates: the fingerprint says which one is right
    rejectUnauthorized: false,
    onread: {
      buffer: () => receiver.target(),
      callback: (count, buffer) => {
        // a lane never speaks first
        if (!ready) socket.destroy()
        return ready && receiver.received(Buffer.from(buffer.buffer, buffer.byteOffset, count))
      },
    },
  }
  const socket = connect(init)
  socket.setNoDelay(true)
  let failure: Error | undefined
  socket.on('error', (error) => {
    failure = error
  })
  socket.once('end', () => socket.destroy())
  socket.once('close', () => {
    if (ready) receiver.closed(failure)
    else opened.reject(failure ?? new Error('the connection was closed in the handshake'))
  })
  socket.once('secureConnect', () => {
    ready = isOf(socket, fingerprint)
    if (ready) opened.resolve()
    else opened.reject(new Error('the certificate is not the one that the peer told'))
  })
  const late = (what: string) => (): void => opened.reject(new Error(`the ${what} took too long`))
  let timer = setTimeout(late('connection'), deadlines.connectMs)
  socket.once('connect', () => {
    clearTimeout(timer)
    timer = setTimeout(late('handshake'), deadlines.handshakeMs)
  })
  try {
    await raceAbort(opened.promise, signal)
  } catch (error) {
    ready = false
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
  // else the end of the connection would not be seen
  socket.resume()
  return {
    via: 'lane',
    write: (text) => void socket.write(text),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    destroy: () => void socket.destroy(),
  }
}

/** The same over what carries a libp2p stream. */
export function streamTransport(duplex: Duplex, receiver: LaneReceiver): LaneTransport {
  let failure: Error | undefined
  duplex.on('data', (bytes: Buffer) => {
    if (!receiver.received(bytes)) duplex.pause()
  })
  duplex.on('error', (error) => {
    failure = error
  })
  duplex.once('end', () => duplex.destroy())
  duplex.once('close', () => receiver.closed(failure))
  return {
    via: 'stream',
    write: (text) => void duplex.write(text),
    pause: () => void duplex.pause(),
    resume: () => void duplex.resume(),
    destroy: () => void duplex.destroy(),
  }
}

function isOf(socket: TLSSocket, fingerprint: string): boolean {
  const raw = socket.getPeerX509Certificate()?.raw
  return raw !== undefined && fingerprintOf(raw) === fingerprint
}
