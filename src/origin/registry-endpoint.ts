import { isDeepStrictEqual } from 'node:util'
import { ShoalError } from '../errors.ts'
import { DOCKER_HUB } from '../oci/reference.ts'
import { authorityOf } from './address-guard.ts'

const DOCKER_HUB_API = 'https://registry-1.docker.io'

/** How one registry is reached. */
export interface RegistrySettings {
  /** http instead of https; never a fallback. */
  readonly plainHttp?: boolean | undefined
  /** PEM text of further trusted authorities. */
  readonly ca?: string | undefined
  /** Base URLs that are asked before the registry itself; any failure moves on to the next. */
  readonly mirrors?: readonly string[] | undefined
}

/** One server that answers for a registry. */
export interface RegistryEndpoint {
  /** The registry whose name is in the reference: for messages, and for the connection's settings. */
  readonly registry: string
  /** `host[:port]` under which its credentials are kept. */
  readonly account: string
  /** Without `/v2/`, with a slash at the end. */
  readonly base: URL
  readonly plainHttp: boolean
  readonly mirror: boolean
}

export interface RegistryEndpointsInit {
  readonly registries: ReadonlyMap<string, RegistrySettings>
  readonly allow: readonly string[]
}

/** Which registries may be asked, and where. */
export class RegistryEndpoints {
  #settings: ReadonlyMap<string, RegistrySettings>
  #allow: readonly RegExp[]

  /** @param init.allow globs over hosts; one with a port means that port, one without means every port */
  constructor(init: RegistryEndpointsInit) {
    this.#settings = init.registries
    this.#allow = init.allow.map(globToExpression)
  }

  /** @returns whether a registry has other settings than before */
  configure(init: RegistryEndpointsInit): boolean {
    const isOther = !isDeepStrictEqual(this.#settings, init.registries)
    this.#settings = init.registries
    this.#allow = init.allow.map(globToExpression)
    return isOther
  }

  settings(registry: string): RegistrySettings {
    return this.#settings.get(registry) ?? {}
  }

  /** host:port of everything that the configuration names. */
  named(): Set<string> {
    const named = new Set<string>()
    for (const registry of this.#settings.keys()) {
      for (const endpoint of this.#all(registry)) named.add(authorityOf(endpoint.base))
    }
    return named
  }

  /** Mirrors first, the registry itself last. @throws ShoalError REGISTRY_NOT_ALLOWED */
  of(registry: string): readonly RegistryEndpoint[] {
    if (!this.#allow.some((glob) => glob.test(registry))) {
      throw new ShoalError('REGISTRY_NOT_ALLOWED', 'registry is not allowed', { detail: { registry } })
    }
    return this.#all(registry)
  }

  #all(registry: string): RegistryEndpoint[] {
    const { plainHttp = false, mirrors = [] } = this.settings(registry)
    const own = registry === DOCKER_HUB && !plainHttp ? DOCKER_HUB_API : `${plainHttp ? 'http' : 'https'}://${registry}`
    return [
      ...mirrors.map((mirror) => endpoint(registry, new URL(mirror).host, mirror, true)),
      endpoint(registry, registry, own, false),
    ]
  }
}

function endpoint(registry: string, account: string, text: string, mirror: boolean): RegistryEndpoint {
  const base = new URL(text.endsWith('/') ? text : `${text}/`)
  return { registry, account, base, plainHttp: base.protocol === 'http:', mirror }
}

function globToExpression(glob: string): RegExp {
  const literal = glob.toLowerCase().replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  const hasPort = /:(?:\d+|\*)$/.test(glob)
  return new RegExp(`^${literal.replaceAll('*', '.*')}${hasPort ? '' : '(?::\\d+)?'}$`)
}
