import { ShoalError } from './errors.ts'
import { formatHostPort, type HostPort } from './util/host-port.ts'

const REASONS = {
  EADDRINUSE: 'is in use already',
  EADDRNOTAVAIL: 'is no address of this host',
  EACCES: 'is not allowed to this user',
  ENOTFOUND: 'is a name that does not resolve',
} as const

/**
 * Says which key of the configuration holds the address that could not be bound.
 * @param key such as `facade.listen`
 * @throws ShoalError CONFIG_INVALID; whatever else `start` throws
 */
export async function listeningFor(key: string, address: HostPort, start: () => Promise<void>): Promise<void> {
  try {
    await start()
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw error
    const message = `${key}: ${formatHostPort(address)} ${REASONS[code]} (${code})`
    throw new ShoalError('CONFIG_INVALID', message, { cause: error })
  }
}

/** libp2p tells it in its message only. */
function codeOf(error: unknown): keyof typeof REASONS | undefined {
  if (!(error instanceof Error)) return undefined
  const text = `${(error as NodeJS.ErrnoException).code} ${error.message}`
  return (Object.keys(REASONS) as (keyof typeof REASONS)[]).find((code) => text.includes(code))
}
