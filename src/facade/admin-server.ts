import fastify, { type FastifyInstance } from 'fastify'
import type { HostPort } from '../util/host-port.ts'
import { type AdminRoutesComponents, addAdminRoutes } from './admin-routes.ts'
import type { CrossSiteGuardInit } from './cross-site-guard.ts'
import { HttpListener } from './http-listener.ts'
import { NO_SCHEMAS } from './no-schemas.ts'

/** The admin routes on their sockets. */
export class AdminServer {
  readonly #app: FastifyInstance
  readonly #listener: HttpListener

  constructor(components: AdminRoutesComponents, init: HostPort & Partial<CrossSiteGuardInit>) {
    this.#app = fastify({ logger: false, schemaController: NO_SCHEMAS, routerOptions: { maxParamLength: 256 } })
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', (_request, _body, done) => done(null))
    const { hosts = [], ...address } = init
    addAdminRoutes(this.#app, components, { hosts })
    this.#listener = new HttpListener(
      { handler: (request, response) => this.#app.routing(request, response), log: components.log },
      // a check of the whole store may have nothing to say for minutes
      { ...address, idleMs: 0 },
    )
  }

  /** What was bound; the first is the one to tell users. */
  get addresses(): readonly HostPort[] {
    return this.#listener.addresses
  }

  /** @throws the socket's error, EADDRINUSE and the like */
  async start(): Promise<void> {
    await this.#app.ready()
    await this.#listener.start()
  }

  async stop(options: { deadlineMs: number }): Promise<void> {
    await this.#listener.stop(options)
    await this.#app.close()
  }
}
