import type { Duplex } from 'node:stream'
import type { Clock } from '../../util/clock.ts'

export interface LaneGuest {
  readonly peer: string
  readonly via: 'lane' | 'stream'
  /** Of the certificate that was shown; undefined over a stream. */
  readonly fingerprint: string | undefined
  /** Requests that came and are not answered yet. */
  waiting: number
  /** Ends when the last of them is answered. */
  turn: Promise<void>
  /** The connection is cut when the clock passes this; undefined while it is this agent that is late. */
  deadline: number | undefined
}

export interface LaneGuestsInit {
  readonly connectionsPerPeer: number
  /** Milliseconds from one request to the next, until the connection is closed. */
  readonly idleMs: number
  /** Milliseconds that a peer may take for one piece of a body. */
  readonly writeMs: number
}

/**
 * The connections of peers that have shown who they are. One timer looks after the deadlines of all, and runs only
 * while there are any. Used by `LaneServer` only.
 */
export class LaneGuests {
  readonly #guests = new Map<Duplex, LaneGuest>()
  readonly #clock: Clock
  readonly #init: LaneGuestsInit
  #timer: NodeJS.Timeout | undefined

  constructor(components: { clock: Clock }, init: LaneGuestsInit) {
    this.#clock = components.clock
    this.#init = init
  }

  get size(): number {
    return this.#guests.size
  }

  /** @returns false when the peer has too many connections; the caller closes this one */
  add(connection: Duplex, who: Pick<LaneGuest, 'peer' | 'via' | 'fingerprint'>): boolean {
    let own = 0
    for (const guest of this.#guests.values()) if (guest.peer === who.peer) own += 1
    if (own >= this.#init.connectionsPerPeer) return false
    const guest: LaneGuest = { ...who, waiting: 0, turn: Promise.resolve(), deadline: undefined }
    this.#guests.set(connection, guest)
    this.idle(guest)
    connection.once('close', () => this.#remove(connection))
    const everyMs = Math.min(this.#init.idleMs, this.#init.writeMs) / 4
    this.#timer ??= setInterval(() => this.#sweep(), everyMs).unref()
    return true
  }

  get(connection: Duplex): LaneGuest | undefined {
    return this.#guests.get(connection)
  }

  /** Its next request has to come in time. */
  idle(guest: LaneGuest): void {
    guest.deadline = this.#clock() + this.#init.idleMs
  }

  /** It has to take a piece in time. */
  writing(guest: LaneGuest): void {
    guest.deadline = this.#clock() + this.#init.writeMs
  }

  /** Cuts the connections that `which` names. */
  cut(which: (guest: LaneGuest) => boolean): void {
    for (const [connection, guest] of this.#guests) if (which(guest)) connection.destroy()
  }

  #remove(connection: Duplex): void {
    this.#guests.delete(connection)
    if (this.#guests.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    const now = this.#clock()
    this.cut(({ deadline }) => deadline !== undefined && deadline < now)
  }
}
