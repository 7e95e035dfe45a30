/**
 * Whether and how the agent is traced, as the variables of OpenTelemetry say:
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/. Its libraries are loaded only for an agent that is.
 */
import type { Logger } from '../util/logger.ts'
import type { Tracer } from '../util/tracer.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface TracingSettings {
  /** Where spans go: the URL of a collector that takes OTLP over HTTP, or standard output. */
  readonly target: { readonly kind: 'otlp'; readonly url: string } | { readonly kind: 'console' }
  /** Of the resource: what is traced. */
  readonly attributes: Readonly<Record<string, string>>
  readonly sampler: { readonly root: 'on' | 'off' | number; readonly heedsParent: boolean }
}

export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer
}

const DEFAULT_ENDPOINT = 'http://localhost:4318'
const SAMPLER = /^(parentbased_)?(always_on|always_off|traceidratio)$/

/**
 * @param onProblem is told in one sentence what is not understood, and what is done about it
 * @returns undefined when the agent is not traced
 */
export function tracingSettings(
  environment: Environment,
  onProblem: (problem: string) => void,
): TracingSettings | undefined {
  const of = (name: string): string | undefined => environment[name]?.trim() || undefined
  if (of('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined
  const endpoint = of('OTEL_EXPORTER_OTLP_ENDPOINT')
  const own = of('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const isAsked = endpoint !== undefined || own !== undefined
  const exporter = of('OTEL_TRACES_EXPORTER') ?? (isAsked ? 'otlp' : 'none')
  if (exporter === 'none') return undefined
  if (exporter !== 'otlp' && exporter !== 'console') {
    onProblem('OTEL_TRACES_EXPORTER is none, otlp or console: nothing is traced')
    return undefined
  }
  const url = own ?? `${(endpoint ?? DEFAULT_ENDPOINT).replace(/\/+$/, '')}/v1/traces`
  if (exporter === 'otlp' && !/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    onProblem('the endpoint of OTEL_EXPORTER_OTLP_* is no http URL: nothing is traced')
    return undefined
  }
  const protocol = of('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? of('OTEL_EXPORTER_OTLP_PROTOCOL')
  if (protocol !== undefined && protocol !== 'http/protobuf')
    onProblem('OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken, and used')
  return {
    target: exporter === 'otlp' ? { kind: 'otlp', url } : { kind: 'console' },
    attributes: {
      ...resourceAttributes(of('OTEL_RESOURCE_ATTRIBUTES'), onProblem),
      ...(of('OTEL_SERVICE_NAME') && { 'service.name': of('OTEL_SERVICE_NAME') ?? '' }),
    },
    sampler: samplerOf(of('OTEL_TRACES_SAMPLER'), of('OTEL_TRACES_SAMPLER_ARG'), onProblem),
  }
}

/** @returns undefined when the agent is not traced */
export async function openTracing(
  components: { readonly log: Logger },
  init: { readonly environment: Environment; readonly version: string; readonly instanceId: string },
): Promise<Tracing | undefined> {
  const { log } = components
  const settings = tracingSettings(init.environment, (problem) => log.warn({ problem }, 'tracing'))
  if (settings === undefined) return undefined
  const { OtelTracing } = await import('./otel-tracing.ts')
  const { version, instanceId } = init
  const attributes = {
    'service.name': 'shoal',
    'service.version': version,
    'service.instance.id': instanceId,
    ...settings.attributes,
  }
  log.info({ to: settings.target.kind }, 'pulls are traced')
  return new OtelTracing({ log }, { ...settings, attributes })
}

/** `key=value,…` with values encoded as in a URL. */
function resourceAttributes(text: string | undefined, onProblem: (problem: string) => void): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const pair of text?.split(',') ?? []) {
    const at = pair.indexOf('=')
    try {
      if (at <= 0) throw new URIError('no key')
      attributes[pair.slice(0, at).trim()] = decodeURIComponent(pair.slice(at + 1).trim())
    } catch {
      onProblem('OTEL_RESOURCE_ATTRIBUTES is not key=value,…: all of it is ignored')
      return {}
    }
  }
  return attributes
}

function samplerOf(
  name = 'parentbased_always_on',
  argument: string | undefined,
  onProblem: (problem: string) => void,
): TracingSettings['sampler'] {
  const [, heedsParent, kind] = SAMPLER.exec(name) ?? []
  if (kind === undefined) {
    onProblem('OTEL_TRACES_SAMPLER is not known: parentbased_always_on is used')
    return { root: 'on', heedsParent: true }
  }
  const share = argument === undefined ? 1 : Number(argument)
  const isShare = share >= 0 && share <= 1
  if (kind === 'traceidratio' && !isShare) onProblem('OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: 1 is used')
  const root = kind === 'traceidratio' ? (isShare ? share : 1) : kind === 'always_on' ? 'on' : 'off'
  return { root, heedsParent: heedsParent !== undefined }
}
