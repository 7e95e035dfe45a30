import type { Socket } from 'node:net'

/**
 * Connections in the middle of their handshake. Members are through with it in milliseconds; so when there are too many,
 * the oldest one has to go.
 */
export class LaneStrangers {
  /** By address of the other end, in order of arrival. */
  readonly #sockets = new Map<string, Socket>()
  readonly #most: number

  constructor(init: { most: number }) {
    this.#most = init.most
  }

  enter(socket: Socket): void {
    const key = keyOf(socket)
    this.#sockets.set(key, socket)
    socket.once('close', () => {
      if (this.#sockets.get(key) === socket) this.#sockets.delete(key)
    })
    if (this.#sockets.size <= this.#most) return
    const [oldest] = this.#sockets.values()
    oldest?.destroy()
  }

  /** @param socket the one that came of the handshake */
  leave(socket: Socket): void {
    this.#sockets.delete(keyOf(socket))
  }

  cut(): void {
    for (const socket of this.#sockets.values()) socket.destroy()
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}
