/** What the components' settings are made of that stands in files beside the configuration. */
import { readFileSync } from 'node:fs'
import type { Config } from './config.ts'
import { readSecrets, type SwarmConfig } from './config-swarm.ts'
import { ShoalError } from './errors.ts'
import type { OriginSettings } from './origin/origin-client.ts'
import { deriveSwarmKey } from './swarm/membership/swarm-secret.ts'

/**
 * Of the swarm's secrets, the one in use first; none without a secret.
 * @throws ShoalError CONFIG_INVALID
 */
export async function readSwarmKeys(config: SwarmConfig): Promise<Uint8Array[]> {
  return await Promise.all(readSecrets(config).map((secret) => deriveSwarmKey(secret.reveal())))
}

/**
 * @param identityKey of the secret in use; while it is changed, agents with the old one and with the new one name their accounts
 * at registries differently, and don't take each other's word for who was admitted in an outage
 * @throws ShoalError CONFIG_INVALID
 */
export function originSettings({ origin }: Config, identityKey: Uint8Array | undefined): OriginSettings {
  const registries = Object.entries(origin.registries).map(
    ([name, { plainHttp, ca, mirrors }]) => [name, { plainHttp, mirrors, ca: ca && readCa(name, ca) }] as const,
  )
  return { registries: new Map(registries), allow: origin.allow, rateBytesPerSecond: origin.rate, identityKey }
}

function readCa(registry: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new ShoalError('CONFIG_INVALID', `configuration: origin.registries.${registry}.ca: cannot read ${file}`, {
      cause: error,
    })
  }
}
