/**
 * Gets this agent connected and keeps it so, for ever: rounds of dialling the configured addresses and the peers of
 * the last run, quickly while there are few connections, seldom when there are enough. Names are resolved anew in each round.
 * Owns what is known about the addresses: which are its own, and who answered at which.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Abortable } from '../../blob/ports.ts'
import type { Logger } from '../../util/logger.ts'
import { linkSignals } from '../../util/signals.ts'
import { DEFAULT_PORT, formatMultiaddr, type PeerAddress, toMultiaddr } from '../membership/peer-address.ts'
import type { Members } from '../swarm-ports.ts'
import { expandAddress, type Resolve } from './bootstrap-address.ts'

export interface DialOutcome {
  /** Of the peer that answered, which may be this agent. */
  readonly id: string
}

export interface BootstrapComponents {
  readonly log: Logger
  readonly resolve: Resolve
  readonly members: Pick<Members, 'self' | 'connected' | 'subscribe'>
  readonly lastRun: { addresses(): readonly PeerAddress[] }
  readonly dial: (address: Multiaddr, options: Abortable) => Promise<DialOutcome>
}

export interface BootstrapTiming {
  readonly dialMs: number
  readonly bootstrapMinMs: number
  readonly bootstrapMaxMs: number
  readonly bootstrapIdleMs: number
}

/** With so many the DHT finds the rest. */
const ENOUGH = 4
const DIALS_PER_ROUND = 16
const BACKOFF = 1.6
const MAX_ADDRESSES_KNOWN = 4096
/** Rounds without success after which the operator is told. */
const PATIENCE = 8

export class Bootstrap {
  readonly #components: BootstrapComponents
  #entries: readonly string[]
  readonly #timing: BootstrapTiming
  /** By multiaddr: the id of who answered there. */
  readonly #answered = new Map<string, string>()
  /** Names that are being resolved: the system gives up later than this agent, and can do little at once. */
  readonly #resolving = new Map<string, Promise<readonly string[]>>()
  readonly #stopping = new AbortController()
  #unsubscribe = (): void => {}
  #running: Promise<void> | undefined
  #wake = new AbortController()
  #failures = 0

  constructor(components: BootstrapComponents, init: { entries: readonly string[]; timing: BootstrapTiming }) {
    this.#components = components
    this.#entries = init.entries
    this.#timing = init.timing
  }

  start(): void {
    const { members } = this.#components
    this.#unsubscribe = members.subscribe({
      joined: () => {},
      left: () => {
        if (members.connected.size >= ENOUGH) return
        this.#failures = 0
        this.#wake.abort()
      },
    })
    this.#running = this.#run()
  }

  /** They are dialled at once. */
  setEntries(entries: readonly string[]): void {
    this.#entries = entries
    this.#failures = 0
    this.#wake.abort()
  }

  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#stopping.abort()
    this.#wake.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#round()
      } catch (error) {
        this.#components.log.error({ err: error }, 'a round of bootstrap failed')
      }
      this.#wake = new AbortController()
      if (this.#stopping.signal.aborted) return
      await delay(this.#pause(), undefined, { signal: this.#wake.signal, ref: false }).catch(() => {})
    }
  }

  #pause(): number {
    const { bootstrapMinMs, bootstrapMaxMs, bootstrapIdleMs } = this.#timing
    const jitter = 0.5 + Math.random()
    if (this.#components.members.connected.size >= ENOUGH) return bootstrapIdleMs * jitter
    const pause = Math.min(bootstrapMaxMs, bootstrapMinMs * BACKOFF ** Math.min(this.#failures, 32))
    this.#failures += 1
    return pause * jitter
  }

  async #round(): Promise<void> {
    const { members, log, lastRun } = this.#components
    using within = linkSignals([this.#stopping.signal], this.#timing.dialMs)
    const addresses = (await Promise.all(this.#entries.map((entry) => this.#expand(entry, within)))).flat()
    if (members.connected.size < ENOUGH) addresses.push(...lastRun.addresses())
    const due = shuffled(addresses.filter((address) => this.#isWorthDialling(address))).slice(0, DIALS_PER_ROUND)
    await Promise.all(due.map((address) => this.#dial(address)))
    if (this.#failures === PATIENCE && members.connected.size === 0 && this.#entries.length > 0)
      log.warn(
        { bootstrap: this.#entries },
        'no other agent is reached: are they up, are the addresses right, is the secret the same?',
      )
  }

  async #expand(entry: string, { signal }: Abortable): Promise<PeerAddress[]> {
    const { log } = this.#components
    const resolve = (name: string): Promise<readonly string[]> => this.#resolve(name)
    try {
      return await expandAddress(entry, { resolve, defaultPort: DEFAULT_PORT }, { signal })
    } catch (error) {
      log.debug({ entry, err: error }, 'a name of bootstrap is not resolved')
      return []
    }
  }

  #resolve(name: string): Promise<readonly string[]> {
    const running = this.#resolving.get(name)
    if (running !== undefined) return running
    const resolving = this.#components.resolve(name).finally(() => this.#resolving.delete(name))
    this.#resolving.set(name, resolving)
    return resolving
  }

  #isWorthDialling(address: PeerAddress): boolean {
    const { self, connected } = this.#components.members
    const id = address.id ?? this.#answered.get(formatMultiaddr(address))
    return id === undefined || (id !== self && !connected.has(id))
  }

  async #dial(address: PeerAddress): Promise<void> {
    using within = linkSignals([this.#stopping.signal], this.#timing.dialMs)
    const text = formatMultiaddr(address)
    try {
      const { id } = await this.#components.dial(toMultiaddr(address), { signal: within.signal })
      if (this.#answered.size >= MAX_ADDRESSES_KNOWN) this.#answered.clear()
      this.#answered.set(text, id)
    } catch (error) {
      this.#answered.delete(text)
      this.#components.log.debug({ address: text, err: error }, 'nobody reached')
    }
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
