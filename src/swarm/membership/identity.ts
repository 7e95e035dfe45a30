/**
 * The key that makes this agent the same one after a restart. Its file is written once, readable by its owner only.
 */
import { randomBytes } from 'node:crypto'
import { chmod, link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import type { Logger } from '../../util/logger.ts'

export type Identity = PrivateKey

/** An identity that is gone with the process: for an agent without a data directory. */
export function ephemeralIdentity(): Promise<Identity> {
  return generateKeyPair('Ed25519')
}

/**
 * Reads the identity, or makes one. A damaged file is moved aside: the agent is then a new one to its peers.
 * @throws the file system's error when the file can neither be read nor written
 */
export async function loadIdentity(path: string, { log }: { log: Logger }): Promise<Identity> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (bytes !== undefined) {
    const known = parse(bytes)
    if (known !== undefined) {
      await chmod(path, 0o600)
      return known
    }
    log.warn({ path }, 'the identity is damaged and moved aside: this agent gets a new one')
    await rename(path, `${path}.damaged`)
  }
  const identity = await ephemeralIdentity()
  await create(path, privateKeyToProtobuf(identity))
  return identity
}

function parse(bytes: Buffer): Identity | undefined {
  try {
    const identity = privateKeyFromProtobuf(bytes)
    return identity.type === 'Ed25519' ? identity : undefined
  } catch {
    return undefined
  }
}

/** Whole or not at all, and never over an identity that is there. */
async function create(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(temporary, bytes, { mode: 0o600, flag: 'wx', flush: true })
    await link(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}
