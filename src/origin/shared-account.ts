import { scryptSync } from 'node:crypto'
import type { Credential } from './docker-config.ts'

/**
 * Members of the swarm see the names and know the key. So a password is not to be guessed from its name at the rate of a bare
 * hash: 16 MiB and about 50 ms for each guess, paid here once for each account.
 */
const COST = { N: 16_384, r: 8, p: 1, maxmem: 32 * 1024 * 1024 }
const NAME_BYTES = 32

/**
 * Names the agent's accounts at registries so that agents with equal credentials, and no others, give equal names. The
 * secret counts: an agent with a password that was changed is not who it was.
 */
export class SharedAccounts {
  readonly #salt: Buffer
  readonly #names = new WeakMap<Credential, Map<string, string>>()

  /** @param init.key the same on every agent of the swarm, and known to them only */
  constructor(init: { readonly key: Uint8Array }) {
    this.#salt = Buffer.concat([Buffer.from('shoal-account-1\0'), init.key])
  }

  /** Synchronous, because `Origin.identity` is. */
  name(registry: string, credential: Credential): string {
    const names = this.#names.get(credential) ?? new Map<string, string>()
    this.#names.set(credential, names)
    const known = names.get(registry)
    if (known !== undefined) return known
    const name = scryptSync(describe(registry, credential), this.#salt, NAME_BYTES, COST).toString('hex')
    names.set(registry, name)
    return name
  }
}

function describe(registry: string, credential: Credential): string {
  const { kind } = credential
  if (kind === 'password') return JSON.stringify([registry, kind, credential.username, credential.password])
  if (kind === 'identity-token') return JSON.stringify([registry, kind, credential.username, credential.token])
  return JSON.stringify([registry, kind, credential.token])
}
