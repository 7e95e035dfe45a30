import type { SecureContext } from 'node:tls'
import type { Abortable, AskOptions } from '../../blob/ports.ts'
import { type ErrorCode, hasCode, type ShoalError } from '../../errors.ts'
import type { Clock } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import { SharedTicks } from '../../util/shared-ticks.ts'
import { linkSignals } from '../../util/signals.ts'
import { TokenBucket } from '../../util/token-bucket.ts'
import { noTracer, type Tracer, traced } from '../../util/tracer.ts'
import type { SwarmMetrics } from '../swarm-metrics.ts'
import type { Lane, LaneAnswer, LaneRequest, Member, MemberLane, Members } from '../swarm-ports.ts'
import { aborted, unavailable } from './lane-answer.ts'
import type { LaneCertificate } from './lane-certificate.ts'
import { LaneConnection } from './lane-connection.ts'
import { LanePool } from './lane-pool.ts'
import { LANE_STREAM_PROTOCOL } from './lane-protocol.ts'
import { connectLane, type LaneReceiver, type LaneTransport, laneContext, streamTransport } from './lane-transport.ts'
import { streamDuplex } from './stream-duplex.ts'

/** A connection that was kept too long, the lane's port, a stream. */
const ATTEMPTS = 3
const MAX_ADDRESSES = 4
/** Connections that come slowly are read again together. */
const GRID_MS = 10
/**
 * After a failure the lane's port is left alone for so long, twice as long after each further one. Then it is tried beside
 * a request, not before it: where only libp2p's port can be reached no pull has to wait for that twice.
 */
const AVOID_MS = 1_000
const MAX_AVOID_MS = 60_000

export interface LaneClientInit {
  /** For all addresses of a peer's lane together; then a stream is tried. */
  readonly connectMs: number
  /** As `LaneConnectDeadlines`. */
  readonly handshakeMs: number
  readonly firstByteMs: number
  readonly stallMs: number
  readonly idleMs: number
  readonly connectionsPerPeer: number
  /** Bytes per second from all peers together; undefined: no limit. */
  readonly downloadRate: number | undefined
}

interface Components {
  readonly members: Pick<Members, 'connected' | 'connect' | 'openStream' | 'subscribe'>
  readonly certificate: LaneCertificate
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Pick<SwarmMetrics, 'received' | 'laneAsked'>
  readonly tracer?: Tracer
}

const OUTCOMES: Partial<Record<ErrorCode, Parameters<SwarmMetrics['laneAsked']>[0]>> = {
  PEER_LACKS: 'lacked',
  PEER_BUSY: 'busy',
  PEER_CROWDED: 'busy',
  PEER_PUTS_OFF: 'busy',
  PEER_UNAVAILABLE: 'unavailable',
  PEER_MISBEHAVED: 'misbehaved',
}

/** What callers hear as it is. */
const TOLD = [
  'PEER_UNAVAILABLE',
  'PEER_MISBEHAVED',
  'PEER_LACKS',
  'PEER_BUSY',
  'PEER_CROWDED',
  'PEER_PUTS_OFF',
] as const satisfies ErrorCode[]

interface Peer {
  readonly pool: LanePool
  /** How often in a row its port was of no use. */
  failures: number
  /** `untried`: not since the last failure, and not before `retryAt`. */
  port: 'good' | 'untried' | 'trying'
  retryAt: number
}

/**
 * Asks members for bytes, over TLS to the port they told, else over a libp2p stream. Owns the connections, a few for
 * each peer. Nothing that it gives has been verified.
 */
export class LaneClient implements Lane {
  readonly #components: Components
  readonly #init: LaneClientInit
  readonly #bucket: TokenBucket
  readonly #context: SecureContext
  readonly #ticks = new SharedTicks({ gridMs: GRID_MS })
  readonly #peers = new Map<string, Peer>()
  #unsubscribe: (() => void) | undefined
  readonly #stopping = new AbortController()

  constructor(components: Components, init: LaneClientInit) {
    const { clock } = components
    this.#components = components
    this.#init = init
    this.#context = laneContext(components.certificate)
    this.#bucket = new TokenBucket({ clock }, { bytesPerSecond: init.downloadRate })
  }

  /** @param downloadRate as in `LaneClientInit` */
  setDownloadRate(downloadRate: number | undefined): void {
    this.#bucket.setRate(downloadRate)
  }

  /** Open now. */
  get connections(): number {
    return this.#peers.values().reduce((sum, { pool }) => sum + pool.size, 0)
  }

  start(): void {
    this.#unsubscribe = this.#components.members.subscribe({
      joined: () => {},
      left: ({ id }) => {
        this.#peers.get(id)?.pool.closeFree()
        this.#forgetLeft(id)
      },
    })
  }

  stop(): void {
    this.#stopping.abort(new DOMException('the lane is closed', 'AbortError'))
    this.#unsubscribe?.()
    for (const id of this.#peers.keys()) this.drop(id)
  }

  /** Ends every request to the peer and closes the connections. */
  drop(id: string): void {
    const peer = this.#peers.get(id)
    this.#peers.delete(id)
    peer?.pool.close(unavailable(id, 'the peer was dropped'))
  }

  prepare(peer: string): void {
    if (this.#stopping.signal.aborted) return
    void this.#peer(peer)
      .pool.prepare(this.#stopping)
      .finally(() => this.#forgetLeft(peer))
  }

  fetch(peer: string, request: LaneRequest, options: AskOptions): Promise<LaneAnswer> {
    const { tracer = noTracer } = this.#components
    const { digest, range } = request
    const bytes = range && range.end - range.start
    const attributes = { 'shoal.peer': peer, 'shoal.digest': digest, 'shoal.start': range?.start, 'shoal.bytes': bytes }
    return traced(tracer, 'ask peer', attributes, () => this.#counted(peer, request, options), { kind: 'client' })
  }

  async #counted(peer: string, request: LaneRequest, options: AskOptions): Promise<LaneAnswer> {
    const { metrics } = this.#components
    try {
      const answer = await this.#fetch(peer, request, options)
      metrics.laneAsked('answered')
      return answer
    } catch (error) {
      metrics.laneAsked((hasCode(error) && OUTCOMES[error.code]) || 'left')
      throw error
    }
  }

  async #fetch(peer: string, request: LaneRequest, options: AskOptions): Promise<LaneAnswer> {
    const { range } = request
    if (range !== undefined && !(range.start < range.end)) throw new RangeError('empty range')
    if (this.#stopping.signal.aborted) throw unavailable(peer, 'the lane is closed')
    for (let attempt = 1; ; attempt += 1) {
      if (options.signal.aborted) throw aborted(options.signal)
      const { pool } = this.#peer(peer)
      void this.#tryPort(peer)
      let connection: LaneConnection | undefined
      try {
        connection = await pool.take(options)
        options.onAsked?.()
        const { body, bytes } = await connection.ask(request, options)
        if (connection.via === 'lane') this.#peer(peer).failures = 0
        return { totalSize: body.totalSize, bytes }
      } catch (error) {
        this.#forgetLeft(peer)
        if (options.signal.aborted) throw aborted(options.signal)
        if (connection?.lostUnheard !== true || attempt === ATTEMPTS) throw this.#toPeerError(peer, error)
        // whatever else was kept since then has been closed likewise
        if (connection.wasUsed) pool.closeFree()
        // who accepts a connection and closes it unasked does not know this agent there
        else if (connection.via === 'lane') this.#avoid(peer, error)
      }
    }
  }

  #peer(id: string): Peer {
    const known = this.#peers.get(id)
    if (known !== undefined) return known
    const pool: LanePool = new LanePool(
      { open: (options) => this.#open(id, pool, options) },
      { most: this.#init.connectionsPerPeer },
    )
    const peer: Peer = { pool, failures: 0, port: 'good', retryAt: 0 }
    this.#peers.set(id, peer)
    return peer
  }

  async #open(id: string, pool: LanePool, options: Abortable): Promise<LaneConnection> {
    const { members, metrics } = this.#components
    const member = members.connected.get(id) ?? (await members.connect(id, options))
    const connection = new LaneConnection(
      {
        bucket: this.#bucket,
        metrics,
        ticks: this.#ticks,
        onFree: (one) => {
          if (this.#isOutdated(one, member, id)) one.close()
          else pool.onFree(one)
        },
        onClosed: (one) => {
          pool.onClosed(one)
          this.#forgetLeft(id)
        },
      },
      { ...this.#init, peer: id },
    )
    try {
      connection.attach(await this.#connect(member, connection, options))
    } catch (error) {
      connection.close()
      throw error
    }
    return connection
  }

  async #connect(member: Member, connection: LaneConnection, options: Abortable): Promise<LaneTransport> {
    const { members } = this.#components
    const { lane, id } = member
    if (hasPort(lane) && this.#peer(id).port === 'good') {
      try {
        return await this.#connectLane(lane, connection, options)
      } catch (error) {
        if (options.signal.aborted) throw error
        this.#avoid(id, error)
      }
    }
    using linked = linkSignals([options.signal], this.#init.firstByteMs)
    const stream = await members.openStream(id, LANE_STREAM_PROTOCOL, { signal: linked.signal })
    return streamTransport(streamDuplex(stream), connection)
  }

  async #connectLane(lane: MemberLane, receiver: LaneReceiver, options: Abortable): Promise<LaneTransport> {
    const addresses = lane.addresses.slice(0, MAX_ADDRESSES)
    const errors: unknown[] = []
    const { connectMs, handshakeMs } = this.#init
    const deadlines = { connectMs: connectMs / addresses.length, handshakeMs }
    for (const address of addresses) {
      try {
        const to = { address, fingerprint: lane.fingerprint, deadlines }
        return await connectLane(this.#context, to, receiver, options)
      } catch (error) {
        if (options.signal.aborted) throw error
        errors.push(error)
      }
    }
    throw errors.length === 1 ? errors[0] : new AggregateError(errors, 'no address of the lane can be reached')
  }

  /** Sees whether the port answers again, when it is time to. What comes of it is not used. */
  async #tryPort(id: string): Promise<void> {
    const { clock, members } = this.#components
    const peer = this.#peer(id)
    const lane = members.connected.get(id)?.lane
    if (peer.port !== 'untried' || clock() < peer.retryAt || !hasPort(lane)) return
    peer.port = 'trying'
    const trial = { target: () => Buffer.alloc(1), received: () => false, closed: () => {} }
    try {
      const transport = await this.#connectLane(lane, trial, this.#stopping)
      transport.destroy()
      peer.port = 'good'
    } catch (error) {
      // a peer that was dropped meanwhile begins anew
      if (this.#peers.get(id) === peer) this.#avoid(id, error)
    }
  }

  /** Over a stream although the port can be used again. */
  #isOutdated(connection: LaneConnection, { lane }: Member, id: string): boolean {
    return connection.via === 'stream' && hasPort(lane) && this.#peers.get(id)?.port === 'good'
  }

  #avoid(id: string, error: unknown): void {
    const { clock, log } = this.#components
    const peer = this.#peer(id)
    const ms = Math.min(MAX_AVOID_MS, AVOID_MS * 2 ** peer.failures)
    peer.failures += 1
    peer.port = 'untried'
    peer.retryAt = clock() + ms
    log.debug({ peer: id, ms, err: error }, 'the lane of a peer can not be used, streams are instead')
  }

  #forgetLeft(id: string): void {
    if (this.#peers.get(id)?.pool.isEmpty === true && !this.#components.members.connected.has(id))
      this.#peers.delete(id)
  }

  #toPeerError(peer: string, error: unknown): ShoalError {
    if (hasCode(error, ...TOLD)) return error
    return unavailable(peer, 'the peer can not be reached', error)
  }
}

function hasPort(lane: MemberLane | undefined): lane is MemberLane {
  return lane !== undefined && lane.addresses.length > 0
}
