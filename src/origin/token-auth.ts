import type { Abortable } from '../blob/ports.ts'
import { hasCode } from '../errors.ts'
import type { Clock } from '../util/clock.ts'
import { lru } from '../util/lru.ts'
import { SingleFlight } from '../util/single-flight.ts'
import { type Challenge, chooseChallenge } from './challenge.ts'
import type { Credentials } from './credentials.ts'
import type { Credential } from './docker-config.ts'
import type { HttpRequest } from './http-exchange.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import { basic, parseToken, type TokenAsk, toTokenAsk, toTokenRequest } from './token-request.ts'

/** Sends a request to a token endpoint, with retries, and gives the body of its 200. */
export type SendTokenRequest = (endpoint: RegistryEndpoint, request: HttpRequest, options: Abortable) => Promise<Buffer>

/** What is asked of a registry, as its token server names it: `repository:library/busybox:pull`. */
export type AccessScope = string

interface BearerGrant {
  readonly kind: 'bearer'
  readonly ask: TokenAsk
  readonly header: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

type Grant = BearerGrant | { readonly kind: 'basic' }

const MAX_GRANTS = 10_000
/** A token is not used for the last part of its life: requests take time, and clocks differ. */
const MAX_MARGIN_MS = 10_000

/**
 * Shows the agent's credentials, or nobody's, to registries: remembers per server, scope and account how it was let in
 * the last time. A token is sent only to the server whose challenge it answers.
 */
export class TokenAuth {
  readonly #clock: Clock
  readonly #credentials: Credentials
  readonly #send: SendTokenRequest
  readonly #grants = lru<string, Grant>(MAX_GRANTS)
  readonly #flights = new SingleFlight<BearerGrant>()

  constructor(components: { clock: Clock; credentials: Credentials; send: SendTokenRequest }) {
    this.#clock = components.clock
    this.#credentials = components.credentials
    this.#send = components.send
  }

  /** The `Authorization` to begin with, undefined when nothing is known to be wanted. */
  async authorization(endpoint: RegistryEndpoint, scope: AccessScope, options: Abortable): Promise<string | undefined> {
    const key = this.#key(endpoint, scope)
    const grant = this.#grants.get(key)
    if (grant === undefined) return undefined
    if (grant.kind === 'basic') return await this.#basic(endpoint, options)
    if (grant.expiresAt > this.#clock()) return grant.header
    this.#grants.delete(key)
    return (await this.#fetch(endpoint, key, grant.ask, options)).header
  }

  /**
   * What to try after a 401. @param sent the `Authorization` that was refused
   * @returns undefined when there is nothing better to show
   */
  async answer(
    endpoint: RegistryEndpoint,
    scope: AccessScope,
    refusal: { readonly challenges: readonly Challenge[]; readonly sent: string | undefined },
    options: Abortable,
  ): Promise<string | undefined> {
    const challenge = chooseChallenge(refusal.challenges)
    if (challenge === undefined) return undefined
    const key = this.#key(endpoint, scope)
    if (challenge.scheme === 'basic') {
      this.#grants.set(key, { kind: 'basic' })
      if (refusal.sent !== undefined) this.#credentials.refused(endpoint.account)
      const header = await this.#basic(endpoint, options)
      return header === refusal.sent ? undefined : header
    }
    const ask = toTokenAsk(endpoint, challenge, scope)
    const grant = this.#grants.get(key)
    // Somebody else may have renewed it meanwhile.
    if (grant?.kind === 'bearer' && grant.header !== refusal.sent && sameAsk(grant.ask, ask)) {
      if (grant.expiresAt > this.#clock()) return grant.header
    }
    this.#grants.delete(key)
    const { header } = await this.#fetch(endpoint, key, ask, options)
    return header === refusal.sent ? undefined : header
  }

  async #fetch(endpoint: RegistryEndpoint, key: string, ask: TokenAsk, { signal }: Abortable): Promise<BearerGrant> {
    const flight = `${key} ${ask.realm.href} ${ask.service ?? ''} ${ask.scope}`
    return await this.#flights.run(flight, signal, async (signal) => {
      const credential = await this.#credentials.get(endpoint.account, { signal })
      const fresh = await this.#grant(endpoint, ask, credential, { signal })
      this.#grants.set(key, fresh)
      return fresh
    })
  }

  async #grant(
    endpoint: RegistryEndpoint,
    ask: TokenAsk,
    credential: Credential | undefined,
    options: Abortable,
  ): Promise<BearerGrant> {
    if (credential?.kind === 'registry-token') {
      return { kind: 'bearer', ask, header: `Bearer ${credential.token}`, expiresAt: Number.POSITIVE_INFINITY }
    }
    const begun = this.#clock()
    try {
      const body = await this.#send(endpoint, toTokenRequest(ask, credential), options)
      const { token, lifetimeMs } = parseToken(endpoint.registry, body)
      const expiresAt = begun + lifetimeMs - Math.min(MAX_MARGIN_MS, lifetimeMs / 5)
      return { kind: 'bearer', ask, header: `Bearer ${token}`, expiresAt }
    } catch (error) {
      if (hasCode(error, 'UNAUTHORIZED', 'DENIED')) this.#credentials.refused(endpoint.account)
      throw error
    }
  }

  async #basic(endpoint: RegistryEndpoint, options: Abortable): Promise<string | undefined> {
    const credential = await this.#credentials.get(endpoint.account, options)
    return credential?.kind === 'password' ? basic(credential) : undefined
  }

  #key(endpoint: RegistryEndpoint, scope: AccessScope): string {
    return `${endpoint.base.href} ${scope} ${this.#credentials.account(endpoint.account) ?? ''}`
  }
}

function sameAsk(one: TokenAsk, other: TokenAsk): boolean {
  return one.realm.href === other.realm.href && one.service === other.service && one.scope === other.scope
}
