/**
 * Two agents that dial each other at the same moment have two connections, and one costs some 100 KiB for nothing. The
 * one with the smaller id closes what is too much, so that both don't close different ones; never one with a stream on it.
 */
import type { Connection, PeerId } from '@libp2p/interface'

export class DuplicateConnections {
  readonly #connectionsOf: (peer: PeerId) => readonly Connection[]
  readonly #self: string
  readonly #graceMs: number
  readonly #timers = new Map<string, NodeJS.Timeout>()

  constructor(
    components: { connectionsOf: (peer: PeerId) => readonly Connection[] },
    init: { self: string; graceMs: number },
  ) {
    this.#connectionsOf = components.connectionsOf
    this.#self = init.self
    this.#graceMs = init.graceMs
  }

  check(peer: PeerId): void {
    const id = peer.toString()
    if (id < this.#self || this.#timers.has(id) || this.#connectionsOf(peer).length < 2) return
    const timer = setTimeout(() => {
      this.#timers.delete(id)
      this.#close(peer)
      this.check(peer)
    }, this.#graceMs)
    this.#timers.set(id, timer.unref())
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  #close(peer: PeerId): void {
    const [, ...others] = this.#connectionsOf(peer)
      .filter(({ status }) => status === 'open')
      .sort((a, b) => b.streams.length - a.streams.length || a.timeline.open - b.timeline.open)
    for (const connection of others) {
      if (connection.streams.length === 0) connection.close().catch((error: Error) => connection.abort(error))
    }
  }
}
