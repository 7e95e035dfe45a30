import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { HostPort } from '../util/host-port.ts'
import type { Logger } from '../util/logger.ts'
import { HttpListener, type HttpListenerInit } from './http-listener.ts'
import { NO_SCHEMAS } from './no-schemas.ts'

/** Answers on the raw request and response. */
export type RawHandler = (request: FastifyRequest['raw'], response: FastifyReply['raw']) => Promise<void>

/** The registry API on its sockets. */
export class FacadeServer {
  readonly #app: FastifyInstance
  readonly #listener: HttpListener

  /** @param components.handle answers every request, for whatever path and method */
  constructor(components: { handle: RawHandler; log: Logger }, init: HttpListenerInit) {
    this.#app = fastify({
      logger: false,
      schemaController: NO_SCHEMAS,
      routerOptions: { querystringParser: () => ({}) },
      // the router decodes paths before our own parser sees them, and refuses what it can not decode
      frameworkErrors: (_error, request, reply) => void take(request, reply),
    })
    const take = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      reply.hijack()
      await components.handle(request.raw, reply.raw)
    }
    this.#app.removeAllContentTypeParsers()
    this.#app.addContentTypeParser('*', (_request, _body, done) => done(null))
    this.#app.all('/v2/*', take)
    this.#app.setNotFoundHandler(take)
    this.#listener = new HttpListener(
      { handler: (request, response) => this.#app.routing(request, response), log: components.log },
      init,
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

  /** Bodies under way may be completed until `deadlineMs` have passed. */
  async stop(options: { deadlineMs: number }): Promise<void> {
    await this.#listener.stop(options)
    await this.#app.close()
  }
}
