import type { RequestListener, Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { formatHostPort, type HostPort } from '../util/host-port.ts'
import { createServer } from '../util/http-server.ts'
import type { Logger } from '../util/logger.ts'

// podman asks for up to 1024 ranges of a layer at once, in a header of more than 16 KiB
const MAX_HEADER_BYTES = 128 * 1024
const HEADERS_TIMEOUT_MS = 60_000
// Go's clients keep idle connections for up to 90 s, and take one that was closed just now for a failed pull
const KEEP_ALIVE_MS = 120_000
const PORT_ATTEMPTS = 10
const STOP_POLL_MS = 50

const LOOPBACK_4 = '127.0.0.1'
const LOOPBACK_6 = '::1'

export interface HttpListenerInit extends HostPort {
  /** A connection on which nothing moved for so long in the middle of an answer is cut; 0: never. */
  readonly idleMs: number
}

/**
 * The sockets of an HTTP server. `localhost` and 127.0.0.1 stand for both loopback addresses, since clients look up
 * `localhost` as ::1 first. What is no HTTP gets node's own plain-text 400: Docker tries TLS first, and takes to HTTP
 * only when it sees such an answer.
 */
export class HttpListener {
  readonly #handler: RequestListener
  readonly #log: Logger
  readonly #init: HttpListenerInit
  readonly #sockets = new Set<Socket>()
  #servers: Server[] = []
  #stopping = false

  constructor(components: { handler: RequestListener; log: Logger }, init: HttpListenerInit) {
    this.#handler = components.handler
    this.#log = components.log
    this.#init = init
  }

  /** What was bound: the first one is the address to tell users. Empty before `start` and after `stop`. */
  get addresses(): readonly HostPort[] {
    return this.#servers.flatMap((server) => {
      const bound = server.address() as AddressInfo | null
      return bound === null ? [] : [{ host: bound.address, port: bound.port }]
    })
  }

  /** @throws the socket's error, EADDRINUSE and the like */
  async start(): Promise<void> {
    const { host, port } = this.#init
    if (host !== 'localhost' && host !== LOOPBACK_4) {
      this.#servers = [await this.#listen(host, port)]
      return
    }
    for (let attempt = 1; ; attempt += 1) {
      const first = await this.#listen(LOOPBACK_4, port)
      const bound = (first.address() as AddressInfo).port
      try {
        this.#servers = [first, await this.#listen(LOOPBACK_6, bound)]
        return
      } catch (error) {
        const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        if (taken && port === 0 && attempt < PORT_ATTEMPTS) {
          await close(first)
          continue
        }
        const address = formatHostPort({ host: LOOPBACK_6, port: bound })
        if (taken) this.#log.warn({ address }, 'another program listens on the IPv6 loopback address')
        else this.#log.debug({ address, err: error }, 'no IPv6 loopback address to listen on')
        this.#servers = [first]
        return
      }
    }
  }

  /**
   * Accepts nothing more and ends idle connections; answers under way may be completed, until `deadlineMs` have passed
   * and every connection is cut.
   */
  async stop(options: { deadlineMs: number }): Promise<void> {
    this.#stopping = true
    const servers = this.#servers.splice(0)
    const closed = Promise.all(servers.map(close))
    // a connection that never asked for anything is not idle to the server
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy()
    // a connection counts as idle only once its answer is out, of which the server does not tell
    const idle = setInterval(() => {
      for (const server of servers) server.closeIdleConnections()
    }, STOP_POLL_MS)
    const deadline = setTimeout(() => {
      for (const server of servers) server.closeAllConnections()
    }, options.deadlineMs)
    try {
      await closed
    } finally {
      clearInterval(idle)
      clearTimeout(deadline)
    }
  }

  async #listen(host: string, port: number): Promise<Server> {
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        requestTimeout: 0,
      },
      (request, response) => {
        if (this.#stopping) response.shouldKeepAlive = false
        this.#handler(request, response)
      },
    )
    server.timeout = this.#init.idleMs
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      // every request that waits for its turn on this connection listens for its end
      socket.setMaxListeners(0)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen({ host, port, ipv6Only: host === LOOPBACK_6 }, resolve)
    await promise
    server.off('error', reject)
    server.on('error', (error) => this.#log.error({ err: error }, 'listening socket failed'))
    return server
  }
}

function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  return promise
}
