import { z } from 'zod'
import type { Challenge } from './challenge.ts'
import type { Credential } from './docker-config.ts'
import type { HttpRequest } from './http-exchange.ts'
import { misbehaved } from './origin-failure.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

/** What a Bearer challenge asks for. */
export interface TokenAsk {
  readonly realm: URL
  readonly service: string | undefined
  readonly scope: string
}

export interface Token {
  readonly token: string
  /** Milliseconds for which it is good. */
  readonly lifetimeMs: number
}

const CLIENT_ID = 'shoal'
/** Life of a token that does not say: https://distribution.github.io/distribution/spec/auth/token/#token-response-fields */
const DEFAULT_SECONDS = 60

const Answer = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().nonnegative().nullish(),
})

/** @throws ShoalError ORIGIN_MISBEHAVED when the realm is none that credentials may be sent to */
export function toTokenAsk(endpoint: RegistryEndpoint, challenge: Challenge, fallbackScope: string): TokenAsk {
  const realm = URL.parse(challenge.params.get('realm') ?? '')
  if (realm === null || !/^https?:$/.test(realm.protocol) || realm.username !== '') {
    throw misbehaved(endpoint.registry, 'challenge has no usable realm')
  }
  if (realm.protocol === 'http:' && !endpoint.plainHttp && realm.hostname !== endpoint.base.hostname) {
    throw misbehaved(endpoint.registry, 'challenge names a realm without TLS')
  }
  return { realm, service: challenge.params.get('service'), scope: challenge.params.get('scope') ?? fallbackScope }
}

/**
 * GET with a password or as nobody: https://distribution.github.io/distribution/spec/auth/token/
 * POST with an identity token: https://distribution.github.io/distribution/spec/auth/oauth/
 */
export function toTokenRequest({ realm, service, scope }: TokenAsk, credential: Credential | undefined): HttpRequest {
  if (credential?.kind === 'identity-token') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: CLIENT_ID,
      refresh_token: credential.token,
      ...(service !== undefined && { service }),
      ...(scope !== '' && { scope }),
    })
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
    return { method: 'POST', url: realm, headers, body: form.toString() }
  }
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  // Several scopes in one challenge are separated by spaces, and asked for one by one.
  for (const one of scope.split(' ')) if (one !== '') url.searchParams.append('scope', one)
  if (credential?.kind !== 'password') return { method: 'GET', url, headers: { accept: 'application/json' } }
  url.searchParams.set('account', credential.username)
  return { method: 'GET', url, headers: { accept: 'application/json', authorization: basic(credential) } }
}

/** @throws ShoalError ORIGIN_MISBEHAVED */
export function parseToken(registry: string, body: Buffer): Token {
  const parsed = Answer.safeParse(parseJson(body))
  const token = parsed.data?.token || parsed.data?.access_token
  if (!parsed.success || token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw misbehaved(registry, 'token endpoint gave no token')
  }
  return { token, lifetimeMs: (parsed.data.expires_in ?? DEFAULT_SECONDS) * 1000 }
}

export function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}
