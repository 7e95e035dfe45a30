import { ShoalError } from '../errors.ts'
import { looksLikeHost, parseName, parseRegistry, type Repository, repositoryOf } from './reference.ts'

export interface UpstreamRules {
  /** For requests that name no registry. */
  readonly defaultRegistry: string
  /** Registries of the configuration, in the form of `parseRegistry`. */
  readonly registries: ReadonlySet<string>
}

const PORT_ALIAS = /^(.+)_(\d{1,5})$/

/**
 * The repository that a client means: `ns` names the registry, else a first path element that looks like a host,
 * else the default. Podman cannot write `host:5000` in a path, so `host_5000` stands for it where the host looks like
 * one or the registry is configured.
 * @param name as it stands in the path
 * @throws ShoalError NAME_INVALID
 */
export function resolveRepository(name: string, ns: string | undefined, rules: UpstreamRules): Repository {
  if (ns !== undefined) return repositoryOf(resolveRegistry(ns, rules), parseName(name))
  const slash = name.indexOf('/')
  const registry = slash === -1 ? undefined : registryOfElement(name.slice(0, slash), rules)
  if (registry === undefined) return repositoryOf(rules.defaultRegistry, parseName(name))
  return repositoryOf(registry, parseName(name.slice(slash + 1)))
}

/** The registry of a request that has no repository. @throws ShoalError NAME_INVALID */
export function resolveRegistry(ns: string | undefined, rules: UpstreamRules): string {
  if (ns === undefined) return rules.defaultRegistry
  return withoutEmptyLabels(parseRegistry(ns))
}

function registryOfElement(element: string, rules: UpstreamRules): string | undefined {
  const [, host, port] = PORT_ALIAS.exec(element) ?? []
  if (host !== undefined && port !== undefined) {
    const alias = `${host.toLowerCase()}:${port}`
    if (looksLikeHost(host) || rules.registries.has(alias)) return withoutEmptyLabels(parseRegistry(alias))
  }
  return looksLikeHost(element) ? withoutEmptyLabels(parseRegistry(element)) : undefined
}

function withoutEmptyLabels(registry: string): string {
  if (registry.includes('..')) throw new ShoalError('NAME_INVALID', 'not a registry host', { detail: { registry } })
  return registry
}
