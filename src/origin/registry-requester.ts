import type { Abortable, OriginOptions } from '../blob/ports.ts'
import { hasCode } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { linkSignals } from '../util/signals.ts'
import { type Span, type Tracer, traced } from '../util/tracer.ts'
import type { AddressGuard } from './address-guard.ts'
import { Attempts, type AttemptsInit } from './attempts.ts'
import { discard, readBounded } from './bounded-body.ts'
import { parseChallenges } from './challenge.ts'
import type { CircuitBreaker } from './circuit-breaker.ts'
import type { Credentials } from './credentials.ts'
import { FailingMirrors } from './failing-mirrors.ts'
import type { HttpAnswer, HttpRequest, Traffic } from './http-exchange.ts'
import { misbehaved, OriginFailure, toAborted } from './origin-failure.ts'
import { counted, type OriginMetrics } from './origin-metrics.ts'
import type { OriginPool } from './origin-pool.ts'
import type { RegistryEndpoint, RegistryEndpoints } from './registry-endpoint.ts'
import { requestWithRedirects } from './request-with-redirects.ts'
import { afterMirrors, onlyMirrors } from './servers-failure.ts'
import { type Asked, statusFailure, tokenFailure } from './status-failure.ts'
import { type AccessScope, TokenAuth } from './token-auth.ts'

/** Where an earlier answer may be waiting: enough for a connection that was closed while it was idle. */
const MIRROR_TRIES = 2
const MAX_TOKEN_BYTES = 1024 * 1024

/** On whose behalf a registry is asked, and for what. */
export interface RegistryScope {
  readonly registry: string
  readonly authorization: string | undefined
  readonly access: AccessScope
  /** Asks the registry itself first. */
  readonly mirrorsLast?: boolean
}

export interface RegistryQuestion {
  readonly method: 'GET' | 'HEAD'
  /** Below `/v2/`. */
  readonly path: string
  readonly query?: string
  readonly headers: Readonly<Record<string, string>>
  readonly asked: Asked
  readonly traffic: Traffic
}

interface AskOptions extends OriginOptions {
  readonly tries?: number
}

interface Components {
  readonly log: Logger
  readonly clock: Clock
  readonly credentials: Credentials
  readonly endpoints: RegistryEndpoints
  readonly guard: AddressGuard
  readonly pool: OriginPool
  readonly breaker: CircuitBreaker
  readonly metrics: OriginMetrics
  readonly tracer: Tracer
}

interface RequesterInit extends AttemptsInit {
  /** From a request to the end of its answer, with the wait for a connection; not for bodies of blobs. */
  readonly questionMs: number
}

/** Asks a registry's servers one after the other, with the right credentials, and again where that may help. */
export class RegistryRequester {
  readonly #components: Components
  readonly #questionMs: number
  readonly #attempts: Attempts
  readonly #auth: TokenAuth
  readonly #failingMirrors = new FailingMirrors()

  constructor(components: Components, init: RequesterInit) {
    const { clock, credentials } = components
    this.#components = components
    this.#questionMs = init.questionMs
    this.#attempts = new Attempts(components, init)
    this.#auth = new TokenAuth({
      clock,
      credentials,
      send: (endpoint, request, options) => this.#sendTokenRequest(endpoint, request, options),
    })
  }

  /**
   * @param consume is given each answer of 200 or 206; what it throws counts as the try's failure
   * @throws ShoalError of the last server asked, with what mirrors said before when the registry itself cannot be asked
   */
  async ask<T>(
    scope: RegistryScope,
    question: RegistryQuestion,
    consume: (answer: HttpAnswer) => T | Promise<T>,
    options: AskOptions,
  ): Promise<T> {
    const { log, endpoints } = this.#components
    // A client's credentials are for the registry; nobody else gets them, or may judge in its place.
    const isForMirrors = scope.authorization === undefined
    const servers = endpoints.of(scope.registry).filter((one) => !one.mirror || isForMirrors)
    if (scope.mirrorsLast === true) servers.sort((a, b) => Number(a.mirror) - Number(b.mirror))
    const { registry } = scope
    const failures: { mirror: RegistryEndpoint; error: unknown }[] = []
    for (const [index, endpoint] of servers.entries()) {
      if (options.mirrorsOnly === true && !endpoint.mirror) break
      // one that is silent would take the patience for all of them
      if (options.mirrorsOnly === true && this.#failingMirrors.has(endpoint)) continue
      try {
        return await this.#askOne(endpoint, scope, question, consume, options)
      } catch (error) {
        if (options.signal.aborted) throw error
        if (index === servers.length - 1) {
          throw endpoint.mirror ? error : afterMirrors(registry, question.asked, failures, error)
        }
        log.debug({ registry, mirror: endpoint.account, err: error }, 'mirror failed')
        if (endpoint.mirror) failures.push({ mirror: endpoint, error })
      }
    }
    if (options.mirrorsOnly === true) throw onlyMirrors(registry, question.asked, failures)
    throw misbehaved(registry, 'has no server')
  }

  /** Whether a mirror may be asked in this scope that did not fail when it was asked last. */
  hasLiveMirror({ registry, authorization }: Pick<RegistryScope, 'registry' | 'authorization'>): boolean {
    if (authorization !== undefined) return false
    return this.#components.endpoints.of(registry).some((one) => one.mirror && !this.#failingMirrors.has(one))
  }

  async #askOne<T>(
    endpoint: RegistryEndpoint,
    scope: RegistryScope,
    question: RegistryQuestion,
    consume: (answer: HttpAnswer) => T | Promise<T>,
    options: AskOptions,
  ): Promise<T> {
    const { registry } = scope
    const { clock } = this.#components
    const begun = clock()
    const once = (): Promise<T> =>
      this.#within(registry, question.traffic, options, (limited) =>
        this.#once(endpoint, scope, question, consume, limited),
      )
    try {
      const answer = await this.#attempts.run(once, {
        ...options,
        tries: options.mirrorsOnly === true ? MIRROR_TRIES : options.tries,
        registry,
        host: endpoint.base.origin,
      })
      this.#failingMirrors.answered(endpoint)
      return answer
    } catch (error) {
      if (options.signal.aborted) this.#failingMirrors.gaveUp(endpoint, clock() - begun)
      else this.#failingMirrors.failed(endpoint, error)
      throw error
    }
  }

  /** A question has to be answered in full by a deadline, however slowly an origin trickles. */
  async #within<T>(
    registry: string,
    traffic: Traffic,
    { signal }: Abortable,
    run: (options: Abortable) => Promise<T>,
  ): Promise<T> {
    if (traffic === 'bodies') return await run({ signal })
    using limited = linkSignals([signal], this.#questionMs)
    try {
      return await run({ signal: limited.signal })
    } catch (error) {
      if (signal.aborted || !limited.signal.aborted) throw error
      const message = `${registry}: does not answer in full in time`
      throw new OriginFailure('ORIGIN_UNAVAILABLE', message, { cause: error, detail: { registry }, again: true })
    }
  }

  async #once<T>(
    endpoint: RegistryEndpoint,
    scope: RegistryScope,
    question: RegistryQuestion,
    consume: (answer: HttpAnswer) => T | Promise<T>,
    options: Abortable,
  ): Promise<T> {
    const { credentials, clock } = this.#components
    const { registry } = scope
    let authorization = scope.authorization ?? (await this.#known(endpoint, scope, options))
    let answer = await this.#exchange(endpoint, question, authorization, options)
    if (answer.status === 401 && !answer.redirected && scope.authorization === undefined) {
      const better = await this.#answerTo(answer, endpoint, scope, question, authorization, options)
      if (better !== undefined) {
        discard(answer)
        authorization = better
        answer = await this.#exchange(endpoint, question, authorization, options)
      }
    }
    if (answer.status === 200 || answer.status === 206) {
      try {
        return await consume(answer)
      } catch (error) {
        answer.body.destroy()
        throw error
      }
    }
    discard(answer)
    if (answer.status === 403 && authorization !== undefined) credentials.refused(endpoint.account)
    throw statusFailure(registry, question.asked, answer, clock())
  }

  async #exchange(
    endpoint: RegistryEndpoint,
    question: RegistryQuestion,
    authorization: string | undefined,
    { signal }: Abortable,
  ): Promise<HttpAnswer> {
    const url = new URL(`v2/${question.path}`, endpoint.base)
    url.search = question.query ?? ''
    const headers = { ...question.headers, ...(authorization !== undefined && { authorization }) }
    const { registry, plainHttp } = endpoint
    const options = { registry, plainHttp, traffic: question.traffic, signal }
    const request = { method: question.method, url, headers }
    return await this.#asked(question.asked, request, signal, () =>
      requestWithRedirects(this.#components, request, options),
    )
  }

  /** Counted, and followed: without the query, where signatures are. */
  #asked(
    asked: Asked | 'token',
    { method, url }: Pick<HttpRequest, 'method' | 'url'>,
    signal: AbortSignal,
    request: () => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    const { metrics, tracer } = this.#components
    const attributes = { 'http.request.method': method, 'server.address': url.host, 'url.path': url.pathname }
    const named = `ask origin for ${asked}`
    const run = async (span: Span): Promise<HttpAnswer> => {
      const answer = await counted(metrics, asked, signal, request)
      span.set({ 'http.response.status_code': answer.status, 'shoal.redirected': answer.redirected })
      return answer
    }
    return traced(tracer, named, attributes, run, { kind: 'client' })
  }

  /** A token that cannot be renewed is no reason to fail: the registry may say what it wants now. */
  async #known(endpoint: RegistryEndpoint, scope: RegistryScope, options: Abortable): Promise<string | undefined> {
    try {
      return await this.#auth.authorization(endpoint, scope.access, options)
    } catch (error) {
      if (hasCode(error, 'UNAUTHORIZED')) return undefined
      throw error
    }
  }

  async #answerTo(
    refusal: HttpAnswer,
    endpoint: RegistryEndpoint,
    scope: RegistryScope,
    question: RegistryQuestion,
    sent: string | undefined,
    options: Abortable,
  ): Promise<string | undefined> {
    try {
      const challenges = parseChallenges(refusal.headers['www-authenticate'])
      return await this.#auth.answer(endpoint, scope.access, { challenges, sent }, options)
    } catch (error) {
      discard(refusal)
      if (!hasCode(error, 'UNAUTHORIZED')) throw error
      const { code, message, detail = {}, challenge } = statusFailure(endpoint.registry, question.asked, refusal, 0)
      throw new OriginFailure(code, message, { cause: error, detail, challenge, status: 401 })
    }
  }

  async #sendTokenRequest(endpoint: RegistryEndpoint, request: HttpRequest, { signal }: Abortable): Promise<Buffer> {
    const { registry } = endpoint
    const { protocol, origin: host } = request.url
    const plainHttp = endpoint.plainHttp || protocol === 'http:'
    const ask = async (limited: Abortable): Promise<Buffer> => {
      const options = { registry, plainHttp, traffic: 'questions', ...limited } as const
      const answer = await this.#asked('token', request, limited.signal, () =>
        requestWithRedirects(this.#components, request, options),
      )
      if (answer.status === 200) return await readBounded(registry, answer, MAX_TOKEN_BYTES)
      discard(answer)
      throw tokenFailure(registry, answer, this.#components.clock())
    }
    const once = (): Promise<Buffer> => this.#within(registry, 'questions', { signal }, ask)
    try {
      return await this.#attempts.run(once, { registry, host, signal })
    } catch (error) {
      if (signal.aborted) throw toAborted(signal)
      // It was tried often enough, and is not about the registry's own host.
      throw error instanceof OriginFailure ? error.elsewhere(false) : error
    }
  }
}
