import { isOutage, ShoalError, toShoalError } from '../errors.ts'
import { OriginFailure } from './origin-failure.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'
import type { Asked } from './status-failure.ts'

interface MirrorFailure {
  readonly mirror: RegistryEndpoint
  readonly error: unknown
}

const NOUNS: Record<Asked, string> = { manifest: 'image', blob: 'blob', name: 'repository' }

/** The registry's own failure to answer; where mirrors were asked before it, with what they said. */
export function afterMirrors(registry: string, asked: Asked, mirrors: readonly MirrorFailure[], own: unknown): unknown {
  if (mirrors.length === 0 || !isOutage(own) || !(own instanceof OriginFailure)) return own
  const { code, detail = {}, challenge, again, retryAfterMs, unreachable, status, refusedElsewhere } = own
  const facts = { detail, challenge, again, retryAfterMs, unreachable, status, refusedElsewhere, cause: own }
  const message = `${saidBy(mirrors, asked)}, and ${registry} ${withoutName(registry, own.message)}`
  return new OriginFailure(code, message, facts)
}

/** Only mirrors were asked, because the registry itself was out just now. */
export function onlyMirrors(registry: string, asked: Asked, mirrors: readonly MirrorFailure[]): OriginFailure {
  const own = `${registry} could not be reached just now`
  const message = mirrors.length === 0 ? own : `${saidBy(mirrors, asked)}, and ${own}`
  return new OriginFailure('ORIGIN_UNAVAILABLE', message, { cause: mirrors.at(-1)?.error, detail: { registry } })
}

function saidBy(mirrors: readonly MirrorFailure[], asked: Asked): string {
  return mirrors.map(({ mirror, error }) => `the mirror ${mirror.account} ${said(mirror, asked, error)}`).join(', ')
}

function said({ registry }: RegistryEndpoint, asked: Asked, error: unknown): string {
  if (error instanceof OriginFailure && error.status === 404) return `has no such ${NOUNS[asked]}`
  if (error instanceof ShoalError) return withoutName(registry, error.message)
  return toShoalError(error).message
}

/** Messages begin with the registry's name, also when a mirror answered in its place. */
function withoutName(registry: string, message: string): string {
  return message.startsWith(`${registry}: `) ? message.slice(registry.length + 2) : message
}
