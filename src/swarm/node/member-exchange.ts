/**
 * Members tell each other whom else they are connected with, so that a small fleet is fully connected within seconds and
 * no lookup has to wait for a dial. Each member is asked once, some time after it came: of two that came to it, the
 * later one hears of the earlier. In larger fleets this stops early, and the DHT is left to find its ways.
 *
 * On a stream of `/shoal/members/1`: one message of CBOR, [[id, [multiaddr, …]], …], with a length in front.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { decode, encode } from 'cborg'
import { z } from 'zod'
import type { Abortable } from '../../blob/ports.ts'
import type { Logger } from '../../util/logger.ts'
import { linkSignals } from '../../util/signals.ts'
import { isNumericMultiaddr } from '../membership/peer-address.ts'
import type { Member, Members } from '../swarm-ports.ts'

const PROTOCOL = '/shoal/members/1'
/** Members that an agent connects with on its own account. */
export const FULL_MESH = 64
/** Of one agent with others, whoever opened them. */
export const MAX_CONNECTIONS = 512
const MAX_ADDRESSES = 4
const MESSAGE_BYTES = 32 * 1024
const DIALS_AT_ONCE = 4
/** Names that one member can make this agent dial. */
const MAX_TOLD = 64

const schema = z
  .array(
    z.tuple([
      z.string().regex(/^[A-Za-z0-9]{1,128}$/),
      z.array(z.string().max(128).refine(isNumericMultiaddr)).min(1).max(MAX_ADDRESSES),
    ]),
  )
  .max(MAX_TOLD)

type Told = z.output<typeof schema>

export interface MemberExchangeComponents {
  readonly members: Pick<Members, 'self' | 'connected' | 'subscribe' | 'openStream' | 'handle'>
  /** Multiaddrs under which a connected member can be reached by others. */
  readonly addressesOf: (id: string, options: Abortable) => Promise<readonly string[]>
  readonly connectAt: (id: string, addresses: readonly string[], options: Abortable) => Promise<unknown>
  readonly log: Logger
}

export class MemberExchange {
  readonly #components: MemberExchangeComponents
  readonly #timing: { readonly askMs: number; readonly answerMs: number }
  readonly #stopping = new AbortController()
  /** Members to be asked. */
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #dialling = new Set<string>()
  /** Members that are being told, one answer each at a time. */
  readonly #telling = new Set<string>()
  #unsubscribe = (): void => {}

  constructor(components: MemberExchangeComponents, timing: { askMs: number; answerMs: number }) {
    this.#components = components
    this.#timing = timing
    components.members.handle(PROTOCOL, (stream, member) => {
      if (this.#telling.has(member.id)) {
        stream.abort(new Error('one question at a time'))
        return
      }
      this.#telling.add(member.id)
      this.#tell(stream, member)
        .catch((error: Error) => stream.abort(error))
        .finally(() => this.#telling.delete(member.id))
    })
  }

  start(): void {
    this.#unsubscribe = this.#components.members.subscribe({
      joined: ({ id }) => this.#plan(id),
      left: ({ id }) => this.#cancel(id),
    })
  }

  stop(): void {
    this.#unsubscribe()
    this.#stopping.abort()
    for (const id of this.#timers.keys()) this.#cancel(id)
  }

  #plan(id: string): void {
    if (this.#components.members.connected.size >= FULL_MESH || this.#timers.has(id)) return
    const ask = (): void => {
      this.#timers.delete(id)
      this.#ask(id).catch((error: unknown) => this.#components.log.debug({ peer: id, err: error }, 'tells no members'))
    }
    this.#timers.set(id, setTimeout(ask, this.#timing.askMs * (0.75 + Math.random() / 2)).unref())
  }

  #cancel(id: string): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
  }

  async #ask(id: string): Promise<void> {
    const { members } = this.#components
    using within = linkSignals([this.#stopping.signal], this.#timing.answerMs)
    const stream = await members.openStream(id, PROTOCOL, within)
    try {
      const message = await lpStream(stream, { maxDataLength: MESSAGE_BYTES, maxBufferSize: MESSAGE_BYTES * 2 }).read(
        within,
      )
      const told = schema.parse(decode(message.subarray(), { strict: true }))
      await stream.close(within)
      await this.#connect(told)
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('failed', { cause: error }))
      throw error
    }
  }

  /** Of two that hear of each other at the same time one dials; the other one only if that comes to nothing. */
  async #connect(told: Told): Promise<void> {
    const { self } = this.#components.members
    const { signal } = this.#stopping
    await this.#dialAll(told.filter(([id]) => id < self))
    const rest = told.filter(([id]) => id > self && !this.#components.members.connected.has(id))
    if (rest.length === 0) return
    await delay(this.#timing.askMs * 2, undefined, { signal, ref: false })
    await this.#dialAll(rest)
  }

  async #dialAll(told: Told): Promise<void> {
    const { members } = this.#components
    const waiting = [...told]
    const dialNext = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const [id, addresses] = next
        if (members.connected.size >= FULL_MESH || this.#stopping.signal.aborted) return
        if (!members.connected.has(id) && !this.#dialling.has(id)) await this.#dial(id, addresses)
      }
    }
    await Promise.all(Array.from({ length: DIALS_AT_ONCE }, dialNext))
  }

  async #dial(id: string, addresses: readonly string[]): Promise<void> {
    const { connectAt, log } = this.#components
    this.#dialling.add(id)
    using within = linkSignals([this.#stopping.signal], this.#timing.answerMs)
    try {
      await connectAt(id, addresses, within)
    } catch (error) {
      log.debug({ peer: id, err: error }, 'a member of others is not reached')
    } finally {
      this.#dialling.delete(id)
    }
  }

  async #tell(stream: Stream, asker: Member): Promise<void> {
    const { members, addressesOf } = this.#components
    using within = linkSignals([this.#stopping.signal], this.#timing.answerMs)
    const ids = [...members.connected.keys()].filter((id) => id !== asker.id).slice(-MAX_TOLD)
    const told = await Promise.all(
      ids.map(async (id) => {
        // Somebody who came just now has not told its addresses yet.
        const addresses = await addressesOf(id, within).catch(() => [])
        return [id, addresses.filter(isNumericMultiaddr).slice(0, MAX_ADDRESSES)] as const
      }),
    )
    const message = encode(told.filter(([, addresses]) => addresses.length > 0))
    await lpStream(stream).write(message, within)
    await stream.close(within)
  }
}
