/** What one host tells others of one layer: as `swarm/exchange/want-desk` does, with `swarm/exchange/chunk-news`. Owns who wants to hear of it. */
import { WANT_LIMITS } from '../../src/swarm/exchange/want-desk.ts'
import { MAX_OTHERS, MAX_TOLD } from '../../src/swarm/protocol/wire-messages.ts'
import type { SimHost } from './sim-host.ts'
import type { SimLayer } from './sim-layer.ts'
import { type SimStatement, SmallSet } from './sim-statement.ts'
import type { SimWorld } from './sim-world.ts'

/** As in `want-desk`. */
const MAX_HOLDERS = 8
const MET_BY_ALL = 16
/** As in `want-table`. */
const MAX_TURNED_AWAY = 256

interface Want {
  believes: 'nothing-yet' | 'none' | 'some' | 'all'
  readonly told: SmallSet
}

/** What is here of the layer. */
export interface SimContent {
  readonly isComplete: boolean
  readonly bits: Uint8Array
  /** What is stated about these chunks by this host and those it believes; about all for undefined. */
  statements(indexes: readonly number[] | undefined): readonly SimStatement[]
}

export class SimDesk {
  readonly #world: SimWorld
  readonly #host: SimHost
  readonly #layer: SimLayer
  readonly #wants = new Map<SimHost, Want>()
  readonly #holders: SimHost[] = []
  /** Who asked when as many were told as may be. */
  readonly #turnedAway = new Set<SimHost>()
  #news = new Set<number>()
  /** `waiting`: a step is over in which few chunks came. */
  #gathering: 'no' | 'stepping' | 'waiting' = 'no'
  /** Counts the times that it tells: who waits for one that is over does nothing. */
  #turn = 0

  constructor(components: { readonly world: SimWorld; readonly host: SimHost; readonly layer: SimLayer }) {
    this.#world = components.world
    this.#host = components.host
    this.#layer = components.layer
  }

  /** Somebody says that it has some of it. */
  here(peer: SimHost): void {
    if (!this.#holders.includes(peer)) this.#holders.push(peer)
  }

  want(peer: SimHost): void {
    this.#wants.delete(peer)
    this.#turnedAway.delete(peer)
    if (!this.#hasPlace) {
      this.#nameOthers(peer)
      this.#turnedAway.add(peer)
      const [first] = this.#turnedAway
      if (first !== undefined && this.#turnedAway.size > MAX_TURNED_AWAY) this.#turnedAway.delete(first)
      this.#send(peer, this.#world.sizes.none, () => peer.interest(this.#layer)?.full(this.#host))
      return
    }
    const want: Want = { believes: 'nothing-yet', told: new SmallSet() }
    this.#wants.set(peer, want)
    this.#nameOthers(peer)
    this.#answer(peer, want)
    this.#host.interest(this.#layer)?.alsoWants(peer)
  }

  unwant(peer: SimHost): void {
    this.#wants.delete(peer)
  }

  drop(peer: SimHost): void {
    this.#wants.delete(peer)
    this.#turnedAway.delete(peer)
    const at = this.#holders.indexOf(peer)
    if (at >= 0) this.#holders.splice(at, 1)
  }

  gained(indexes: readonly number[]): void {
    if (this.#wants.size === 0) return
    for (const index of indexes) this.#news.add(index)
    if (this.#gathering === 'no') this.#wait(WANT_LIMITS.firstNewsMs, () => this.#ripe())
    else if (this.#gathering === 'waiting' && this.#isEnough) this.#wait(0, () => this.#ripe())
  }

  /** The whole layer is here. */
  changed(): void {
    this.#news = new Set()
    this.#gathering = 'no'
    this.#turn += 1
    for (const [peer, want] of this.#wants) this.#answer(peer, want)
  }

  get #hasPlace(): boolean {
    if (this.#wants.size < MAX_TOLD || this.#host.content(this.#layer)?.isComplete === true) return true
    let told = 0
    for (const { believes } of this.#wants.values()) if (believes !== 'all') told += 1
    return told < MAX_TOLD
  }

  get #isEnough(): boolean {
    return this.#news.size >= WANT_LIMITS.enoughNews
  }

  #wait(ms: number, done: () => void): void {
    this.#gathering = 'stepping'
    this.#turn += 1
    const turn = this.#turn
    this.#world.events.after(ms, () => {
      if (this.#turn === turn && this.#host.isAlive) done()
    })
  }

  #stepped(stepMs: number): void {
    const restMs = WANT_LIMITS.lastNewsMs - stepMs
    if (this.#news.size === 0 || this.#isEnough || restMs <= 0) {
      this.#ripe()
      return
    }
    this.#wait(restMs, () => this.#ripe())
    this.#gathering = 'waiting'
  }

  #ripe(): void {
    if (this.#news.size === 0) {
      this.#gathering = 'no'
      return
    }
    const indexes = [...this.#news]
    this.#news = new Set()
    this.#tell(indexes)
    const { minNewsMs, maxNewsMs, newsMsPerPeer } = WANT_LIMITS
    const stepMs = Math.max(minNewsMs, Math.min(maxNewsMs, newsMsPerPeer * this.#wants.size))
    this.#wait(stepMs, () => this.#stepped(stepMs))
  }

  #tell(indexes: readonly number[]): void {
    const content = this.#host.content(this.#layer)
    if (content === undefined) return
    const interest = this.#host.interest(this.#layer)
    const isPassedOn = this.#wants.size > MET_BY_ALL || interest?.asksMany === true
    const about = content
      .statements(indexes)
      .filter(({ statement }) => isPassedOn || statement.signer === this.#host.id)
    for (const [peer, want] of this.#wants) {
      if (want.believes === 'all') continue
      if (want.believes !== 'some') {
        this.#answer(peer, want)
        continue
      }
      const untold = interest === undefined ? indexes : indexes.filter((index) => !interest.hasChunk(peer, index))
      const statements = this.#untold(peer, want, about)
      if (untold.length + statements.length === 0) continue
      this.#send(peer, this.#world.sizes.more(untold.length, bytesOf(statements)), () =>
        peer.interest(this.#layer)?.more(this.#host, untold, statements),
      )
    }
  }

  #answer(peer: SimHost, want: Want): void {
    const { sizes } = this.#world
    const content = this.#host.content(this.#layer)
    if (content === undefined) {
      if (want.believes === 'none') return
      want.believes = 'none'
      this.#send(peer, sizes.none, () => peer.interest(this.#layer)?.none(this.#host))
      return
    }
    want.believes = content.isComplete ? 'all' : 'some'
    const bits = content.isComplete ? undefined : content.bits.slice()
    const statements = this.#untold(peer, want, content.statements(undefined))
    this.#send(peer, sizes.have(this.#layer.plan.count, bytesOf(statements)), () =>
      peer.interest(this.#layer)?.have(this.#host, bits, statements),
    )
  }

  #untold(peer: SimHost, { told }: Want, statements: readonly SimStatement[]): SimStatement[] {
    const interest = this.#host.interest(this.#layer)
    return statements.filter((each) => {
      if (each.statement.signer === peer.id || told.has(each.id) || interest?.hasHeard(peer, each) === true)
        return false
      told.add(each.id)
      return true
    })
  }

  #nameOthers(peer: SimHost): void {
    const others = new Set([
      ...this.#rotated(this.#holders).slice(0, MAX_HOLDERS),
      ...this.#rotated([...this.#wants.keys(), ...this.#turnedAway]),
    ])
    others.delete(peer)
    if (others.size === 0) return
    const named = [...others].slice(0, MAX_OTHERS)
    this.#send(peer, this.#world.sizes.others(named.length), () => peer.interest(this.#layer)?.others(named))
  }

  #rotated<T>(list: readonly T[]): readonly T[] {
    const from = Math.floor(this.#world.random() * list.length)
    return [...list.slice(from), ...list.slice(0, from)]
  }

  #send(peer: SimHost, bytes: number, hear: () => void): void {
    this.#world.tell(this.#host, peer, bytes, hear)
  }
}

function bytesOf(statements: readonly SimStatement[]): number {
  return statements.reduce((sum, { bytes }) => sum + bytes + 3, 0)
}
