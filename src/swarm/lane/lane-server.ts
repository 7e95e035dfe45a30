import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import type { SharedContent } from '../../blob/ports.ts'
import { BufferPool } from '../../util/buffer-pool.ts'
import type { Clock } from '../../util/clock.ts'
import type { HostPort } from '../../util/host-port.ts'
import { createServer as createHttpServer } from '../../util/http-server.ts'
import type { Logger } from '../../util/logger.ts'
import { TokenBucket } from '../../util/token-bucket.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Members } from '../swarm-ports.ts'
import type { PeerLedger } from '../trust/peer-ledger.ts'
import { fingerprintOf, idInside, type LaneCertificate } from './lane-certificate.ts'
import { type LaneGuest, LaneGuests, type LaneGuestsInit } from './lane-guests.ts'
import { LaneLoad, type LaneLoadInit } from './lane-load.ts'
import { LANE_STREAM_PROTOCOL, LANE_TLS, MAX_HEAD_BYTES } from './lane-protocol.ts'
import { LaneRoutes } from './lane-routes.ts'
import { LaneSender } from './lane-sender.ts'
import { LaneStrangers } from './lane-strangers.ts'
import { streamDuplex } from './stream-duplex.ts'

/** A quarter of it costs the processor 40 % more, twice as much saves nothing. */
const BUFFER_BYTES = 512 * 1024
const SMALL_BUFFER_BYTES = 64 * 1024
/** Large buffers for eight bodies at once, small ones beyond. */
const BUFFER_BUDGET_BYTES = 16 * BUFFER_BYTES
const KEPT_BUFFERS = 2
/** With a rate, so many pieces a second go to all peers together, so that none has to wait long for its next one. */
const PIECES_PER_SECOND = 64
const MIN_PIECE_BYTES = 4 * 1024
const STOP_POLL_MS = 20

export interface LaneServerLimits extends LaneLoadInit, LaneGuestsInit {
  /** Connections at the lane's port, whoever they are from. */
  readonly connections: number
  /** Those of them that have not shown who they are yet. */
  readonly strangers: number
  /** Milliseconds for the handshake. */
  readonly handshakeMs: number
}

export interface LaneServerInit {
  /** Undefined: peers can only ask over libp2p streams. */
  readonly listen: HostPort | undefined
  /** Bytes per second to all peers together; undefined: no limit. */
  readonly uploadRate: number | undefined
  readonly limits: LaneServerLimits
}

interface Components {
  readonly content: Pick<SharedContent, 'find' | 'open'>
  readonly members: Pick<Members, 'byFingerprint' | 'handle'>
  /** It is asked about bans: a member is remembered for a while after it was shut out. */
  readonly ledger: Pick<PeerLedger, 'isBanned' | 'sent'>
  readonly certificate: LaneCertificate
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Pick<SwarmMetrics, 'sent' | 'laneServed'>
}

/**
 * Gives bytes of blobs to members of the swarm and to nobody else: over TLS on a port of its own, and over libp2p streams.
 * A connection is listened to only when its certificate is that of a member, and for each request it is asked again
 * whether it still is.
 */
export class LaneServer {
  readonly #components: Components
  readonly #init: LaneServerInit
  readonly #guests: LaneGuests
  readonly #strangers: LaneStrangers
  readonly #routes: LaneRoutes
  readonly #http: Server
  readonly #bucket: TokenBucket
  readonly #pieces: { pieceBytes: number }
  #tls: TlsServer | undefined
  #state: 'new' | 'open' | 'stopped' = 'new'

  constructor(components: Components, init: LaneServerInit) {
    const { content, clock } = components
    const { limits, uploadRate } = init
    this.#components = components
    this.#init = init
    this.#guests = new LaneGuests({ clock }, limits)
    this.#strangers = new LaneStrangers({ most: limits.strangers })
    const pool = new BufferPool({
      bufferBytes: BUFFER_BYTES,
      smallBytes: SMALL_BUFFER_BYTES,
      budgetBytes: BUFFER_BUDGET_BYTES,
      keptBuffers: KEPT_BUFFERS,
    })
    this.#bucket = new TokenBucket({ clock }, { bytesPerSecond: uploadRate })
    this.#pieces = { pieceBytes: pieceBytes(uploadRate) }
    const sender = new LaneSender({ pool, bucket: this.#bucket }, this.#pieces)
    this.#routes = new LaneRoutes({ content, load: new LaneLoad(limits), sender, clock })
    // it never listens itself: it only speaks HTTP on the connections it is given
    this.#http = createHttpServer(
      { maxHeaderSize: MAX_HEAD_BYTES, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 },
      (request, response) => this.#onRequest(request, response),
    )
    this.#http.timeout = 0
    this.#http.on('clientError', (_error, socket) => socket.destroy())
  }

  /** @param uploadRate as in `LaneServerInit` */
  setUploadRate(uploadRate: number | undefined): void {
    this.#pieces.pieceBytes = pieceBytes(uploadRate)
    this.#bucket.setRate(uploadRate)
  }

  /** What peers are told; 0 while no port is open. */
  get port(): number {
    return (this.#tls?.address() as AddressInfo | null | undefined)?.port ?? 0
  }

  /** Open now, to peers that have shown who they are. */
  get connections(): number {
    return this.#guests.size
  }

  /** Call it before the members' own `start`. @throws the socket's error, EADDRINUSE and the like */
  async start(): Promise<void> {
    const { members, log } = this.#components
    this.#state = 'open'
    members.handle(LANE_STREAM_PROTOCOL, (stream, member) => {
      this.#welcome(streamDuplex(stream), { peer: member.id, via: 'stream', fingerprint: undefined })
    })
    const { listen } = this.#init
    if (listen === undefined) return
    const server = this.#createTlsServer()
    server.listen({ host: listen.host, port: listen.port })
    await once(server, 'listening')
    server.on('error', (error) => log.error({ err: error }, 'the listening socket of the lane failed'))
    this.#tls = server
  }

  /** Accepts nothing more; bodies under way may be completed until `deadlineMs` have passed. */
  async stop(options: { deadlineMs: number }): Promise<void> {
    this.#state = 'stopped'
    const closed = this.#tls === undefined ? undefined : once(this.#tls, 'close')
    this.#tls?.close()
    this.#tls = undefined
    this.#strangers.cut()
    const done = Promise.withResolvers<void>()
    const poll = setInterval(() => {
      this.#guests.cut(({ waiting }) => waiting === 0)
      if (this.#guests.size === 0) done.resolve()
    }, STOP_POLL_MS)
    const deadline = setTimeout(() => this.#guests.cut(() => true), options.deadlineMs)
    this.#guests.cut(({ waiting }) => waiting === 0)
    try {
      await done.promise
      await closed
    } finally {
      clearInterval(poll)
      clearTimeout(deadline)
    }
  }

  /** Cuts all connections of a peer, at once. */
  drop(peer: string): void {
    this.#guests.cut((guest) => guest.peer === peer)
  }

  #createTlsServer(): TlsServer {
    const { certificate, members, log } = this.#components
    const { limits } = this.#init
    const server = createTlsServer(
      {
        ...LANE_TLS,
        key: certificate.key,
        cert: certificate.certificate,
        requestCert: true,
        // nobody vouches for these certificates: they are told apart by fingerprint, below
        rejectUnauthorized: false,
        // each connection shows its certificate anew
        secureOptions: constants.SSL_OP_NO_TICKET,
        handshakeTimeout: limits.handshakeMs,
        noDelay: true,
      },
      (socket) => {
        this.#strangers.leave(socket)
        const shown = socket.getPeerX509Certificate()
        const fingerprint = shown === undefined ? undefined : fingerprintOf(shown.raw)
        const member = shown && fingerprint && members.byFingerprint(fingerprint, idInside(shown))
        if (!member || fingerprint === undefined) {
          log.debug({ address: socket.remoteAddress }, 'a stranger at the lane')
          socket.destroy()
          return
        }
        this.#welcome(socket, { peer: member.id, via: 'lane', fingerprint })
      },
    )
    server.maxConnections = limits.connections
    server.on('connection', (socket: Socket) => this.#strangers.enter(socket))
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      log.debug({ address: socket.remoteAddress, err: error }, 'no handshake at the lane')
      // node leaves one that takes too long as it is
      socket.destroy()
    })
    return server
  }

  #welcome(connection: Duplex, who: Pick<LaneGuest, 'peer' | 'via' | 'fingerprint'>): void {
    // a cut connection is nothing to report
    connection.on('error', () => undefined)
    const isWelcome = this.#state === 'open' && !connection.destroyed && !this.#components.ledger.isBanned(who.peer)
    if (isWelcome && this.#guests.add(connection, who)) this.#http.emit('connection', connection)
    else connection.destroy()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection: Duplex = request.socket
    const guest = this.#guests.get(connection)
    // the next request may arrive before this side knows that the last answer is out, but no more than that
    if (guest === undefined || guest.waiting >= 2 || !this.#isWelcome(guest)) {
      connection.destroy()
      return
    }
    guest.waiting += 1
    guest.deadline = undefined
    guest.turn = guest.turn
      .then(() => this.#answer(request, response, guest))
      .catch((error: unknown) => {
        this.#components.log.error({ err: error, peer: guest.peer }, 'a request at the lane failed')
        connection.destroy()
      })
  }

  async #answer(request: IncomingMessage, response: ServerResponse, guest: LaneGuest): Promise<void> {
    const { clock, log, metrics, ledger } = this.#components
    const begun = clock()
    const left = new AbortController()
    const onClose = (): void => left.abort(new DOMException('the peer has left', 'AbortError'))
    request.socket.once('close', onClose)
    if (request.socket.destroyed) onClose()
    const progress = {
      onWrite: () => this.#guests.writing(guest),
      onWritten: (bytes: number) => {
        guest.deadline = undefined
        metrics.sent(guest.via, bytes)
        ledger.sent(guest.peer, bytes)
      },
    }
    if (this.#state === 'stopped') response.shouldKeepAlive = false
    response.sendDate = false
    const outcome = await this.#routes.answer(request, response, guest.peer, progress, left)
    request.socket.off('close', onClose)
    metrics.laneServed(outcome)
    log.debug({ peer: guest.peer, via: guest.via, outcome, ms: clock() - begun }, 'a request at the lane')
    guest.waiting -= 1
    if (guest.waiting === 0) this.#guests.idle(guest)
  }

  #isWelcome({ fingerprint, peer }: LaneGuest): boolean {
    const { ledger, members } = this.#components
    if (ledger.isBanned(peer)) return false
    return fingerprint === undefined || members.byFingerprint(fingerprint, peer)?.id === peer
  }
}

function pieceBytes(uploadRate: number | undefined): number {
  if (uploadRate === undefined) return BUFFER_BYTES
  return Math.min(BUFFER_BYTES, Math.max(MIN_PIECE_BYTES, Math.floor(uploadRate / PIECES_PER_SECOND)))
}
