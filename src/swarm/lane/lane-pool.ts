import type { Abortable } from '../../blob/ports.ts'
import type { ShoalError } from '../../errors.ts'
import { raceAbort } from '../../util/race-abort.ts'
import type { LaneConnection } from './lane-connection.ts'

interface Components {
  readonly open: (options: Abortable) => Promise<LaneConnection>
}

/**
 * The connections to one peer, a bounded number. A request takes a free one, opens another, or waits for its turn; one is
 * opened at a time, for a handshake costs more than many a request. What was taken comes back by `onFree` or ends by `onClosed`.
 * Used by `LaneClient` only.
 */
export class LanePool {
  readonly #components: Components
  readonly #most: number
  readonly #all = new Set<LaneConnection>()
  readonly #free: LaneConnection[] = []
  /** Given a connection to use, or undefined to look again. */
  readonly #waiting: PromiseWithResolvers<LaneConnection | undefined>[] = []
  #isOpening = false
  #closedBy: ShoalError | undefined

  constructor(components: Components, init: { most: number }) {
    this.#components = components
    this.#most = init.most
  }

  get size(): number {
    return this.#all.size
  }

  get isEmpty(): boolean {
    return this.#all.size === 0 && !this.#isOpening && this.#waiting.length === 0
  }

  /** @throws what kept a connection from being opened, or the signal's reason */
  async take(options: Abortable): Promise<LaneConnection> {
    for (;;) {
      if (this.#closedBy !== undefined) throw this.#closedBy
      // the last one used is the least likely to have been closed at the other end
      const free = this.#free.pop()
      if (free !== undefined) return free
      if (!this.#isOpening && this.#all.size < this.#most) return await this.#open(options)
      const given = await this.#turn(options)
      if (given !== undefined) return given
    }
  }

  /** Has one opened for the first request, if there is none. Whoever asks hears of what goes wrong. Never throws. */
  async prepare(options: Abortable): Promise<void> {
    if (this.#closedBy !== undefined || !this.isEmpty) return
    const connection = await this.#open(options).catch(() => undefined)
    if (connection?.isClosed === false) this.onFree(connection)
  }

  onFree(connection: LaneConnection): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(connection)
    else next.resolve(connection)
  }

  onClosed(connection: LaneConnection): void {
    this.#all.delete(connection)
    const index = this.#free.indexOf(connection)
    if (index >= 0) this.#free.splice(index, 1)
    this.#waiting.shift()?.resolve(undefined)
  }

  /** Lets go of the connections that nobody uses. */
  closeFree(): void {
    for (const connection of this.#free.splice(0)) connection.close()
  }

  /** Ends everything that is under way, and what comes later. */
  close(error: ShoalError): void {
    this.#closedBy ??= error
    for (const turn of this.#waiting.splice(0)) turn.reject(error)
    for (const connection of this.#all) connection.close()
  }

  async #open(options: Abortable): Promise<LaneConnection> {
    this.#isOpening = true
    let connection: LaneConnection
    try {
      connection = await this.#components.open(options)
    } catch (error) {
      this.#isOpening = false
      // whoever waits is served by the others, or would only meet with the same
      if (options.signal.aborted) this.#waiting.shift()?.resolve(undefined)
      else if (this.#all.size === 0) for (const turn of this.#waiting.splice(0)) turn.reject(error)
      throw error
    }
    this.#isOpening = false
    if (this.#closedBy !== undefined) connection.close()
    // one that is closed already says so when it is asked
    if (!connection.isClosed) this.#all.add(connection)
    this.#waiting.shift()?.resolve(undefined)
    return connection
  }

  async #turn({ signal }: Abortable): Promise<LaneConnection | undefined> {
    const turn = Promise.withResolvers<LaneConnection | undefined>()
    this.#waiting.push(turn)
    try {
      return await raceAbort(turn.promise, signal, (late) => this.#passOn(late))
    } finally {
      const index = this.#waiting.indexOf(turn)
      if (index >= 0) this.#waiting.splice(index, 1)
    }
  }

  #passOn(late: LaneConnection | undefined): void {
    if (late === undefined) this.#waiting.shift()?.resolve(undefined)
    else if (!late.isClosed) this.onFree(late)
  }
}
