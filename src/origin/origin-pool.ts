import { isIP, type LookupFunction } from 'node:net'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import type { buildConnector as connecting, Dispatcher } from 'undici'
import type { Abortable } from '../blob/ports.ts'
import { ShoalError } from '../errors.ts'
import { steadyClock } from '../util/clock.ts'
import { type AddressGuard, authorityOf, hostOf } from './address-guard.ts'
import type { HttpAnswer, HttpRequest, Traffic } from './http-exchange.ts'
import { isAnswerTimeout, silent } from './origin-failure.ts'
import type { RegistryEndpoints } from './registry-endpoint.ts'
import { SilentHosts } from './silent-hosts.ts'
import { Agent, buildConnector, EnvHttpProxyAgent } from './undici-parts.ts'

/** Bytes of a body that are taken from the connection before somebody reads them. */
const READ_AHEAD_BYTES = 1024 * 1024
/** Longer than the pauses within a pull, shorter than what load balancers give idle connections. */
const KEEP_ALIVE_MS = 30_000
const MAX_HEADER_BYTES = 64 * 1024

export interface ProxySettings {
  /** URL, or host:port for http; empty: none. */
  readonly http: string
  readonly https: string
  /** As in NO_PROXY. */
  readonly no: string
}

export interface PoolInit {
  readonly userAgent: string
  /** Travels with every request, so that an agent recognises its own. */
  readonly instanceId: string
  readonly connectMs: number
  readonly firstByteMs: number
  readonly silentMs: number
  readonly stallMs: number
  readonly connectionsPerHost: number
  readonly proxy: ProxySettings
}

interface Components {
  readonly guard: AddressGuard
  readonly endpoints: RegistryEndpoints
  /** Knows no forbidden addresses. */
  readonly lookup: LookupFunction
}

interface Dispatchers {
  readonly direct: Dispatcher
  readonly proxied: Dispatcher | undefined
}

/**
 * The connections to all origins: HTTP/1.1, kept alive, a bounded number per host. Registries without settings of their
 * own share theirs; long bodies and short questions each have their own.
 */
export class OriginPool {
  readonly #components: Components
  readonly #init: PoolInit
  readonly #dispatchers = new Map<string, Dispatchers>()
  readonly #silent: SilentHosts
  /** Those that were forgotten and still have a request. */
  readonly #closing = new Set<Dispatcher>()

  constructor(components: Components, init: PoolInit) {
    this.#components = components
    this.#silent = new SilentHosts({ clock: steadyClock }, { fullMs: init.firstByteMs, shortMs: init.silentMs })
    const { http, https, no } = init.proxy
    this.#init = { ...init, proxy: { http: proxyUrl(http), https: proxyUrl(https), no } }
  }

  /** One request, no redirects. Rejects with what undici says, an OriginFailure, or with the signal's reason. */
  async request(registry: string, request: HttpRequest, traffic: Traffic, { signal }: Abortable): Promise<HttpAnswer> {
    const { url } = request
    const waitMs = this.#silent.waitMs(url.origin)
    const asking = this.#dispatcher(registry, url, traffic).request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: request.method,
      headers: {
        'user-agent': this.#init.userAgent,
        'accept-encoding': 'identity',
        'shoal-via': this.#init.instanceId,
        ...request.headers,
      },
      body: request.body ?? null,
      // undici would close the connection after each HEAD.
      reset: false,
      highWaterMark: READ_AHEAD_BYTES,
      headersTimeout: waitMs,
      signal,
    })
    const answer = await this.#heard(registry, asking, { host: url.origin, waitMs })
    // A body that is let go of before its end says so by an error event, which nobody else may be listening for.
    answer.body.on('error', () => {})
    return { status: answer.statusCode, headers: answer.headers, body: answer.body, url, redirected: false }
  }

  async #heard<T>(
    registry: string,
    asking: Promise<T>,
    of: { readonly host: string; readonly waitMs: number },
  ): Promise<T> {
    try {
      const answer = await asking
      this.#silent.answered(of.host)
      return answer
    } catch (error) {
      if (!isAnswerTimeout(error)) throw error
      this.#silent.timedOut(of.host, of.waitMs)
      if (of.waitMs === this.#init.firstByteMs) throw error
      // asking once more would only add to what the client waits
      throw silent(registry, error)
    }
  }

  /** The next requests get connections of their own, with the settings of now; those that run are answered. */
  forget(): void {
    for (const one of this.#all()) {
      const closing = one.close().finally(() => this.#closing.delete(one))
      // An error of a connection that nobody uses any more is nobody's.
      closing.catch(() => {})
      this.#closing.add(one)
    }
    this.#dispatchers.clear()
  }

  async close(): Promise<void> {
    const all = [...this.#all(), ...this.#closing]
    this.#dispatchers.clear()
    await Promise.all(all.map((one) => one.destroy()))
  }

  #all(): Dispatcher[] {
    return [...this.#dispatchers.values()].flatMap(({ direct, proxied }) => (proxied ? [direct, proxied] : [direct]))
  }

  #dispatcher(registry: string, url: URL, traffic: Traffic): Dispatcher {
    const { ca } = this.#components.endpoints.settings(registry)
    const key = `${traffic} ${ca === undefined ? '' : registry}`
    const dispatchers = this.#dispatchers.get(key) ?? this.#create(ca)
    this.#dispatchers.set(key, dispatchers)
    const { proxy } = this.#init
    const proxyUri = url.protocol === 'https:' ? proxy.https : proxy.http
    if (dispatchers.proxied === undefined || proxyUri === '' || isLoopback(hostOf(url))) return dispatchers.direct
    return dispatchers.proxied
  }

  #create(ca: string | undefined): Dispatchers {
    const { connectMs, firstByteMs, stallMs, connectionsPerHost, proxy } = this.#init
    const tls = ca === undefined ? {} : { secureContext: trusting(ca) }
    const options = {
      connections: connectionsPerHost,
      pipelining: 1,
      allowH2: false,
      headersTimeout: firstByteMs,
      bodyTimeout: stallMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    }
    const connectOptions = { ...tls, timeout: connectMs, allowH2: false }
    const { guard, lookup } = this.#components
    const free = buildConnector(connectOptions)
    const guarded = buildConnector({ ...connectOptions, lookup })
    const connect: connecting.connector = (target, callback) => {
      const authority = authorityOf(new URL(`${target.protocol}//${target.host ?? target.hostname}`))
      const connector = guard.isExempt(authority) ? free : guarded
      connector(target, callback)
    }
    const direct = new Agent({ ...options, connect })
    if (proxy.http === '' && proxy.https === '') return { direct, proxied: undefined }
    const proxied = new EnvHttpProxyAgent({
      ...options,
      connect,
      connectTimeout: connectMs,
      requestTls: tls,
      httpProxy: proxy.http,
      httpsProxy: proxy.https,
      noProxy: proxy.no,
    })
    return { direct, proxied }
  }
}

/** The usual authorities and this one: a registry with a private authority may redirect to a public host. */
function trusting(ca: string): SecureContext {
  return createSecureContext({ ca: [...getCACertificates('default'), ca] })
}

/** @throws ShoalError CONFIG_INVALID */
function proxyUrl(text: string): string {
  if (text === '') return ''
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  // Not quoted: it may hold a password.
  if (url === null) throw new ShoalError('CONFIG_INVALID', 'configuration: the proxy of the environment is no URL')
  return url.href
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
