import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Scope } from '../blob/ports.ts'
import type { PullServices } from '../blob/services.ts'
import { ShoalError, toShoalError } from '../errors.ts'
import { OCI_INDEX } from '../oci/media-type.ts'
import { parseRegistryPath, parseRegistryQuery, type RegistryResource } from '../oci/registry-path.ts'
import { resolveRegistry, resolveRepository, type UpstreamRules } from '../oci/upstream.ts'
import type { Logger } from '../util/logger.ts'
import { noTracer, type Tracer } from '../util/tracer.ts'
import { answerBlob } from './blob-answer.ts'
import type { BodySender } from './body-sender.ts'
import { type ErrorAnswer, errorAnswer, sendError } from './error-answer.ts'
import { Exchange } from './exchange.ts'
import type { FacadeMetrics } from './facade-metrics.ts'
import { answerList } from './list-answer.ts'
import { answerManifest } from './manifest-answer.ts'
import { pageRefusal, type RebindingGuardInit } from './rebinding-guard.ts'
import { responseTurn } from './response-turn.ts'

const TRACED: ReadonlySet<RegistryResource['kind']> = new Set(['blob', 'manifest', 'tags', 'referrers', 'catalog'])
const PING = Buffer.from('{}')
const JSON_TYPE = 'application/json'

const LOOP: ErrorAnswer = {
  status: 508,
  code: 'UNSUPPORTED',
  message: 'the request came back to the agent that sent it: this agent is configured as its own registry or mirror',
  detail: undefined,
  headers: [],
}

export interface RegistryRoutesComponents {
  readonly services: PullServices
  readonly sender: BodySender
  readonly metrics: FacadeMetrics
  readonly log: Logger
  readonly tracer?: Tracer
  /** Told of every request that is not refused as a page's or as this agent's own. */
  readonly clients?: { note(userAgent: string | undefined): void }
  /** Whether pulls can be served. While it is false, `/v2/` makes clients go elsewhere. */
  readonly isReady: () => boolean
}

export interface RegistryRoutesInit extends RebindingGuardInit {
  readonly upstream: UpstreamRules
  /** Of this agent; an own request that comes back carries it in `Shoal-Via`. */
  readonly instanceId: string
  /** How long a client waits for the first byte of an answer before it is told to go elsewhere. */
  readonly firstByteMs: number
}

/** The registry API for clients that pull: from a parsed path to an answer. */
export class RegistryRoutes {
  readonly #components: RegistryRoutesComponents
  readonly #init: RegistryRoutesInit

  constructor(components: RegistryRoutesComponents, init: RegistryRoutesInit) {
    this.#components = components
    this.#init = init
  }

  /** Answers the request, whatever comes; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (response.socket === null && !(await responseTurn(request, response))) return
    using exchange = new Exchange({ request, response }, this.#init)
    const [path, query] = splitOnce(request.url ?? '', '?')
    let resource: RegistryResource = { kind: 'unknown' }
    try {
      const refusal = pageRefusal(request, this.#init)
      if (refusal !== undefined) throw new ShoalError('PAGE_REFUSED', refusal)
      const isOwn = this.#isOwn(request)
      if (!isOwn) this.#components.clients?.note(request.headers['user-agent'])
      if (request.method !== 'GET' && request.method !== 'HEAD') throw pullsOnly()
      resource = parseRegistryPath(path)
      if (isOwn) sendError(exchange, LOOP)
      else if (TRACED.has(resource.kind)) await this.#trace(exchange, resource, path, query)
      else await this.#answer(exchange, resource, path, query)
      this.#report(exchange, resource)
    } catch (error) {
      this.#fail(exchange, resource, exchange.explain(error))
    }
  }

  async #trace(exchange: Exchange, resource: RegistryResource, path: string, query: string): Promise<void> {
    const { tracer = noTracer } = this.#components
    const { method, headers } = exchange.request
    const { traceparent } = headers
    const attributes = { 'http.request.method': method, 'url.path': path, 'user_agent.original': headers['user-agent'] }
    const options = {
      kind: 'server',
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    } as const
    exchange.span = tracer.startSpan(`${method} ${resource.kind}`, attributes, options)
    await tracer.within(exchange.span, () => this.#answer(exchange, resource, path, query))
  }

  async #answer(exchange: Exchange, resource: RegistryResource, path: string, query: string): Promise<void> {
    const { services } = this.#components
    if (resource.kind === 'ping') return this.#ping(exchange)
    if (resource.kind === 'unknown') throw new ShoalError('NOT_FOUND', 'no such path')
    if (resource.kind === 'upload') throw pullsOnly()
    const { ns, rest } = parseRegistryQuery(query)
    const { authorization } = exchange.request.headers
    const { signal } = exchange
    if (resource.kind === 'catalog') {
      const registry = resolveRegistry(ns, this.#init.upstream)
      exchange.namespace = ns
      const answer = await exchange.within(services.lists.catalog({ registry, authorization }, rest, { signal }))
      return answerList(exchange, answer, { contentType: answer.contentType, path })
    }
    const scope: Scope = { repository: resolveRepository(resource.name, ns, this.#init.upstream), authorization }
    exchange.namespace = ns
    switch (resource.kind) {
      case 'manifest':
        return answerManifest(
          exchange,
          { manifests: services.manifests, metrics: this.#components.metrics },
          scope,
          resource.reference,
        )
      case 'blob':
        return answerBlob(exchange, { ...this.#components, blobs: services.blobs }, scope, resource.digest)
      case 'tags': {
        const answer = await exchange.within(services.lists.tags(scope, rest, { signal }))
        return answerList(exchange, answer, { contentType: answer.contentType, path })
      }
      case 'referrers': {
        const { digest } = resource
        const asked = services.manifests.referrers(scope, digest, new URLSearchParams(rest), { signal })
        return answerList(exchange, await exchange.within(asked), { contentType: OCI_INDEX, path })
      }
    }
  }

  #ping(exchange: Exchange): void {
    if (!this.#components.isReady()) throw new ShoalError('STOPPING', 'not ready to serve pulls')
    exchange.writeHead(200, ['Content-Type', JSON_TYPE, 'Content-Length', `${PING.length}`])
    exchange.response.end(exchange.isHead ? undefined : PING)
  }

  #isOwn(request: IncomingMessage): boolean {
    const via = request.headers['shoal-via']
    return (
      via !== undefined &&
      String(via)
        .split(',')
        .some((id) => id.trim() === this.#init.instanceId)
    )
  }

  #report(exchange: Exchange, resource: RegistryResource): void {
    const { response, request, startedAt } = exchange
    this.#components.metrics.answered(resource.kind, response.statusCode)
    exchange.span.set({ 'http.response.status_code': response.statusCode })
    exchange.span.end()
    const ms = Math.round(performance.now() - startedAt)
    this.#components.log.debug(
      { method: request.method, url: request.url, status: response.statusCode, ms },
      'answered',
    )
  }

  #fail(exchange: Exchange, resource: RegistryResource, thrown: unknown): void {
    const { log, metrics } = this.#components
    const { request, response } = exchange
    const error = toShoalError(thrown)
    const fields = { method: request.method, url: request.url, err: error }
    if (error.code === 'INTERNAL') log.error(fields, 'request failed')
    else log.debug(fields, 'request failed')
    if (error.code !== 'ABORTED') metrics.failed(resource.kind, error.code)
    if (error.code === 'ABORTED' || response.headersSent) {
      response.destroy()
      exchange.span.end(error)
      metrics.answered(resource.kind, error.code === 'ABORTED' ? 'left' : 'cut')
      return
    }
    sendError(exchange, errorAnswer(error, resource.kind))
    exchange.span.set({ 'http.response.status_code': response.statusCode })
    exchange.span.end(error)
    metrics.answered(resource.kind, response.statusCode)
  }
}

function pullsOnly(): ShoalError {
  return new ShoalError('UNSUPPORTED', 'this is a mirror for pulling: push to the registry itself')
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)]
}
