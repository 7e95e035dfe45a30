import { ShoalError } from '../errors.ts'
import { parseImageName } from '../oci/image-name.ts'
import { parsePlatform } from '../oci/platform.ts'
import { MAX_HOSTS_AT_ONCE, type PrewarmRequest } from '../prewarm/prewarm-events.ts'
import { CliError } from './cli-error.ts'

export interface PrewarmOptions {
  readonly platform?: readonly string[]
  readonly fleet?: boolean
  readonly hosts?: string
}

export const DEFAULT_HOSTS = '8'

/** The agent's rules decide which registry is meant, not whether a name is one. */
const ANY_RULES = { defaultRegistry: 'docker.io', registries: new Set<string>() }

/** What the user typed, looked at before an agent is asked. @throws CliError with exit code 2 */
export function prewarmRequest(images: readonly string[], options: PrewarmOptions): PrewarmRequest {
  const { platform = [], fleet = false, hosts } = options
  for (const image of images) checked(image, (text) => parseImageName(text, ANY_RULES))
  for (const one of platform) if (one !== 'all') checked(`--platform ${one}`, () => parsePlatform(one))
  if (hosts !== undefined && !fleet) throw new CliError('--hosts is for --fleet', { exitCode: 2 })
  const count = Number(hosts ?? DEFAULT_HOSTS)
  if (!Number.isInteger(count) || count < 1 || count > MAX_HOSTS_AT_ONCE)
    throw new CliError(`--hosts: expected 1 to ${MAX_HOSTS_AT_ONCE}: ${hosts}`, { exitCode: 2 })
  return { images, platforms: platform, hosts: fleet ? count : undefined }
}

function checked(text: string, parse: (text: string) => unknown): void {
  try {
    parse(text)
  } catch (cause) {
    if (!(cause instanceof ShoalError)) throw cause
    throw new CliError(`${text}: ${cause.message}`, { cause, exitCode: 2 })
  }
}
