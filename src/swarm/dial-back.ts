/**
 * Agents ask each other whether they can be reached from outside. Whoever is asked connects back, only to the address that the
 * asker comes from, and says what came of it. Owns nothing but what is under way; bounded per asker and in all.
 *
 * On a stream of `/shoal/dial-back/1`, messages of CBOR with a length in front:
 *
 *     asker   { v: 1, swarm: [[host, port], …], lane: [[host, port], …] }    where it says it can be reached
 *     asked   { observed: host, swarm: outcome, lane: outcome }
 *     asker   64 KiB
 *     asked   64 KiB
 *
 * The last two show whether full packets come through: where small ones do and these do not, something drops what is
 * larger than the path's MTU.
 */
import { createConnection } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { z } from 'zod'
import type { Abortable } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import { type HostPort, parseHostPort } from '../util/host-port.ts'
import type { Logger } from '../util/logger.ts'
import { lru } from '../util/lru.ts'
import { raceAbort } from '../util/race-abort.ts'
import { RateLimit } from '../util/rate-limit.ts'
import { linkSignals } from '../util/signals.ts'
import { decodeStrict, encodeCanonical } from './encoding/strict-cbor.ts'
import type { LaneCertificate } from './lane/lane-certificate.ts'
import { connectLane, laneContext } from './lane/lane-transport.ts'
import type { Member, Members } from './swarm-ports.ts'

const PROTOCOL = '/shoal/dial-back/1'
const MESSAGE_BYTES = 4 * 1024
const FULL_BYTES = 64 * 1024
const MAX_ADDRESSES = 8
const MAX_ITEMS = 64
/** Of one asker, and of all together. */
const ASKS_PER_SECOND = 1 / 10
const ASKS_BURST = 6
const MAX_RUNNING = 8
const MAX_PEERS_COUNTED = 512

/**
 * - reached: it was connected to; for the lane, with its own certificate
 * - refused: the host answers, nobody listens there
 * - timeout: nothing answers
 * - other: something else answers there
 * - elsewhere: no address it told is the one it comes from: not tried
 * - none: it told no address
 */
/** The deadline of the whole is what counts. */
const LANE_MS = 60_000

export type DialOutcome = 'reached' | 'refused' | 'timeout' | 'other' | 'elsewhere' | 'none'

const outcome = z.enum(['reached', 'refused', 'timeout', 'other', 'elsewhere', 'none'])
const addresses = z.array(z.tuple([z.string().max(64), z.int().min(1).max(65_535)])).max(MAX_ADDRESSES)
const requestSchema = z.object({ v: z.literal(1), swarm: addresses, lane: addresses })
const answerSchema = z.object({ observed: z.string().max(64), swarm: outcome, lane: outcome })

export interface DialBackReport {
  readonly peer: string
  /** What it sees this agent come from. */
  readonly observed: string
  readonly swarm: DialOutcome
  readonly lane: DialOutcome
  /** Whether 64 KiB went there and back. */
  readonly fullPackets: boolean
}

export interface DialBackComponents {
  readonly members: Pick<Members, 'connected' | 'openStream' | 'handle'>
  readonly certificate: LaneCertificate
  /** Where this agent can be reached, as it knows. */
  readonly own: () => { readonly swarm: readonly HostPort[]; readonly lane: readonly HostPort[] }
  readonly clock: Clock
  readonly log: Logger
}

export interface DialBackTiming {
  readonly dialMs: number
  readonly packetsMs: number
}

export const DIAL_BACK_TIMING: DialBackTiming = { dialMs: 3_000, packetsMs: 4_000 }

type HostPortTuple = readonly [host: string, port: number]

export class DialBack {
  readonly #components: DialBackComponents
  readonly #timing: DialBackTiming
  readonly #stopping = new AbortController()
  readonly #rates = lru<string, RateLimit>(MAX_PEERS_COUNTED)
  #running = 0

  /** Call before the members start. */
  constructor(components: DialBackComponents, timing: DialBackTiming) {
    this.#components = components
    this.#timing = timing
    components.members.handle(PROTOCOL, (stream, member) => {
      this.#answer(stream, member).catch((error: unknown) => {
        components.log.debug({ peer: member.id, err: error }, 'a question to be dialled back came to nothing')
        stream.abort(error instanceof Error ? error : new Error('failed', { cause: error }))
      })
    })
  }

  stop(): void {
    this.#stopping.abort(new ShoalError('STOPPING', 'the agent is stopping'))
  }

  /** @throws ShoalError PEER_UNAVAILABLE, PEER_MISBEHAVED; the signal's reason */
  async ask(peer: string, { signal }: Abortable): Promise<DialBackReport> {
    const { dialMs, packetsMs } = this.#timing
    using within = linkSignals([signal, this.#stopping.signal], 4 * dialMs)
    const stream = await this.#components.members.openStream(peer, PROTOCOL, within)
    try {
      const messages = lpStream(stream, { maxDataLength: FULL_BYTES, maxBufferSize: 2 * FULL_BYTES })
      const { swarm, lane } = this.#components.own()
      await messages.write(encodeCanonical({ v: 1, swarm: tuplesOf(swarm), lane: tuplesOf(lane) }), within)
      const answer = parseAnswer((await messages.read(within)).subarray())
      using soon = linkSignals([signal, this.#stopping.signal], packetsMs)
      const fullPackets = await exchange(messages, soon).then(
        () => true,
        () => false,
      )
      signal.throwIfAborted()
      return { peer, ...answer, fullPackets }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ShoalError) throw error
      throw new ShoalError('PEER_UNAVAILABLE', 'the peer gave no answer', { cause: error })
    } finally {
      stream.abort(new Error('not needed any more'))
    }
  }

  async #answer(stream: Stream, member: Member): Promise<void> {
    const { dialMs, packetsMs } = this.#timing
    using within = linkSignals([this.#stopping.signal], 4 * dialMs + packetsMs)
    stream.addEventListener('close', () => within.abort(new Error('the asker has left')), { once: true })
    const messages = lpStream(stream, { maxDataLength: FULL_BYTES, maxBufferSize: 2 * FULL_BYTES })
    if (this.#running >= MAX_RUNNING || !this.#rateOf(member.id).tryTake(1)) throw new Error('asked too often')
    this.#running += 1
    try {
      using soon = linkSignals([within.signal], dialMs)
      const encoded = (await messages.read(soon)).subarray()
      if (encoded.length > MESSAGE_BYTES) throw new ShoalError('PEER_MISBEHAVED', 'a message that is too long')
      const asked = parseRequest(encoded)
      const observed = plainHost(parseHostPort(member.address)?.host ?? '')
      const [swarm, lane] = await Promise.all([
        this.#dial(asked.swarm, observed, (address, options) => connectPlainly(address, options), within.signal),
        this.#dial(
          asked.lane,
          observed,
          (address, options) => this.#connectLane(address, member, options),
          within.signal,
        ),
      ])
      await messages.write(encodeCanonical({ observed, swarm, lane }), within)
      using packets = linkSignals([within.signal], packetsMs)
      await messages.read(packets)
      await messages.write(new Uint8Array(FULL_BYTES), packets)
      // the asker ends it, with all in its hands
      await delay(packetsMs, undefined, { signal: packets.signal }).catch(() => {})
    } finally {
      this.#running -= 1
    }
  }

  /** To one address at most, and to none but the asker's own. */
  async #dial(
    told: readonly HostPortTuple[],
    observed: string,
    connect: (address: HostPort, options: Abortable) => Promise<void>,
    signal: AbortSignal,
  ): Promise<DialOutcome> {
    if (told.length === 0) return 'none'
    const own = told.find(([host]) => plainHost(host) === observed)
    if (own === undefined) return 'elsewhere'
    using within = linkSignals([signal], this.#timing.dialMs)
    try {
      await connect({ host: observed, port: own[1] }, within)
      return 'reached'
    } catch (error) {
      signal.throwIfAborted()
      if (within.signal.aborted) return 'timeout'
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ECONNREFUSED') return 'refused'
      return code === 'EHOSTUNREACH' || code === 'ENETUNREACH' || code === 'ETIMEDOUT' ? 'timeout' : 'other'
    }
  }

  async #connectLane(address: HostPort, { lane }: Member, options: Abortable): Promise<void> {
    if (lane === undefined) throw new Error('it told no lane')
    const receiver = { target: () => Buffer.alloc(1), received: () => false, closed: () => {} }
    const own = laneContext(this.#components.certificate)
    const deadlines = { connectMs: LANE_MS, handshakeMs: LANE_MS }
    const to = { address, fingerprint: lane.fingerprint, deadlines }
    const transport = await connectLane(own, to, receiver, options)
    transport.destroy()
  }

  #rateOf(id: string): RateLimit {
    const init = { perSecond: ASKS_PER_SECOND, burst: ASKS_BURST }
    const rate = this.#rates.get(id) ?? new RateLimit({ clock: this.#components.clock }, init)
    this.#rates.set(id, rate)
    return rate
  }
}

/** A handshake of TCP: whatever listens there. */
async function connectPlainly({ host, port }: HostPort, { signal }: Abortable): Promise<void> {
  const socket = createConnection({ host, port })
  const connected = Promise.withResolvers<void>()
  socket.once('connect', () => connected.resolve())
  socket.on('error', (error) => connected.reject(error))
  try {
    await raceAbort(connected.promise, signal)
  } finally {
    socket.destroy()
  }
}

async function exchange(
  messages: {
    read(options: Abortable): Promise<{ readonly byteLength: number }>
    write(bytes: Uint8Array, options: Abortable): Promise<void>
  },
  options: Abortable,
): Promise<void> {
  await messages.write(new Uint8Array(FULL_BYTES), options)
  const { byteLength } = await messages.read(options)
  if (byteLength !== FULL_BYTES) throw new ShoalError('PEER_MISBEHAVED', 'it sent other bytes than it should')
}

function tuplesOf(list: readonly HostPort[]): HostPortTuple[] {
  return list.slice(0, MAX_ADDRESSES).map(({ host, port }) => [host, port])
}

/** An IPv4 address that an IPv6 socket shows is the same address. */
function plainHost(host: string): string {
  return host.replace(/^::ffff:(?=\d+\.)/i, '').toLowerCase()
}

function parseRequest(encoded: Uint8Array): z.output<typeof requestSchema> {
  const parsed = requestSchema.safeParse(decodeStrict(encoded, { maxItems: MAX_ITEMS }))
  if (parsed.success) return parsed.data
  throw new ShoalError('PEER_MISBEHAVED', 'no question to be dialled back', { cause: parsed.error })
}

function parseAnswer(encoded: Uint8Array): z.output<typeof answerSchema> {
  const parsed = answerSchema.safeParse(decodeStrict(encoded, { maxItems: MAX_ITEMS }))
  if (parsed.success) return parsed.data
  throw new ShoalError('PEER_MISBEHAVED', 'no answer to a question to be dialled back', { cause: parsed.error })
}
