/** The section `swarm` of the configuration, and the secret that agents of one swarm share. */
import { closeSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'
import { address, agentAddress, bytesPerSecond, milliseconds, numericAddress, peerId } from './config-values.ts'
import { ShoalError } from './errors.ts'
import { Secret } from './util/secret.ts'

const SECRET_CHARACTERS = 16
const SECRET_FILE_BYTES = 4096
const MAKE_ONE = 'make one with: openssl rand -hex 32'

const secret = z.string().transform((value, context): Secret => {
  const { text, problem } = checkSecret(value)
  if (problem === undefined) return new Secret(text)
  context.addIssue({ code: 'custom', message: problem })
  return z.NEVER
})

/** A list, or a text with commas, which is easier to give in the environment. */
function listOf<T extends z.ZodType>(item: T) {
  return z.preprocess(
    (value) => (typeof value === 'string' ? value.split(/[\s,]+/).filter(Boolean) : value),
    z.array(item),
  )
}

export const swarmSection = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether to take part in a swarm at all.'),
    listen: numericAddress
      .prefault('0.0.0.0:5051')
      .describe('For other agents: finding each other, and what they tell each other. An IP address.'),
    lane: address.prefault('0.0.0.0:5052').describe('For other agents: bulk bytes.'),
    advertise: listOf(agentAddress)
      .prefault([])
      .describe("Addresses under which other agents reach this one, where it can't see them itself."),
    secret: secret
      .optional()
      .describe('Whoever knows it belongs to the swarm; at least 16 characters. Better in a file or the environment.'),
    secretFile: z.string().min(1).optional().describe('A file that holds it.'),
    previousSecretFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A file that holds the one before it: who knows that belongs to the swarm too, as long as this key is there.',
      ),
    allowPeers: listOf(peerId)
      .prefault([])
      .describe('Ids of the only agents that belong to the swarm; with none, whoever knows the secret.'),
    open: z
      .boolean()
      .default(false)
      .describe('A swarm without a secret and without a list of agents: whoever reaches this one belongs to it.'),
    bootstrap: listOf(agentAddress)
      .prefault([])
      .describe('Agents to begin with: host, host:port or multiaddr. A name stands for all its addresses.'),
    mdns: z.boolean().default(false).describe('Also look for agents on the local network.'),
    zone: z
      .string()
      .max(64)
      .regex(/^[\x20-\x7e]*$/, { error: 'expected printable ASCII' })
      .default('')
      .describe('Agents of one zone are near each other.'),
    uploadRate: bytesPerSecond.prefault('unlimited').describe('To all peers together, each second.'),
    downloadRate: bytesPerSecond.prefault('unlimited').describe('From all peers together, each second.'),
    headStart: milliseconds
      .prefault('10ms')
      .describe('How long peers may answer before the registry is asked as well.'),
    holdBack: milliseconds.prefault('10s').describe('How long bytes are held back for which one peer alone vouches.'),
    shareTags: z
      .boolean()
      .default(true)
      .describe("Tell other agents what tags this one saw, and ask them while the registry can't be asked."),
    prewarm: z.boolean().default(true).describe('Other agents may ask this one to bring images in.'),
  })
  .superRefine(({ secret, secretFile, previousSecretFile, allowPeers, open }, context) => {
    if (previousSecretFile !== undefined && secret === undefined && secretFile === undefined)
      context.addIssue({
        code: 'custom',
        path: ['previousSecretFile'],
        message: 'there is no secret that follows it: give secretFile as well',
      })
    if (secret !== undefined && secretFile !== undefined)
      context.addIssue({ code: 'custom', path: ['secret'], message: 'there is a secretFile as well: give one of them' })
    if (open && (secret !== undefined || secretFile !== undefined || allowPeers.length > 0))
      context.addIssue({
        code: 'custom',
        path: ['open'],
        message: 'is for a swarm that anybody may join, and there is a secret or allowPeers',
      })
  })
  .prefault({})

export type SwarmConfig = z.output<typeof swarmSection>

/**
 * The secret, from wherever the configuration has it. The file is read here and not with the configuration: commands
 * need that too, and are run by users who may not read the secret.
 * @throws ShoalError CONFIG_INVALID
 */
export function readSecret({ secret, secretFile }: Pick<SwarmConfig, 'secret' | 'secretFile'>): Secret | undefined {
  return secretFile === undefined ? secret : readSecretFile('secretFile', secretFile)
}

/**
 * As `readSecret`, and behind it the one before, if that still counts.
 * @throws ShoalError CONFIG_INVALID
 */
export function readSecrets(config: SwarmConfig): Secret[] {
  const secret = readSecret(config)
  if (secret === undefined) return []
  const { previousSecretFile } = config
  if (previousSecretFile === undefined) return [secret]
  const previous = readSecretFile('previousSecretFile', previousSecretFile)
  return previous.reveal() === secret.reveal() ? [secret] : [secret, previous]
}

function readSecretFile(key: string, file: string): Secret {
  const fail = (problem: string, cause?: unknown): ShoalError =>
    new ShoalError('CONFIG_INVALID', `configuration: swarm.${key}: ${file}: ${problem}`, { cause })
  let content: string
  try {
    content = readStart(file)
  } catch (error) {
    throw fail('it cannot be read', error)
  }
  const { text, problem } = checkSecret(content)
  if (problem === undefined) return new Secret(text)
  throw fail(problem)
}

/** Never says what the secret is. */
function checkSecret(value: string): { text: string; problem?: string } {
  // a line break at the end comes from how it was written, and is not meant
  const text = value.replace(/[\r\n]+$/, '')
  if (Buffer.byteLength(text) >= SECRET_FILE_BYTES) return { text, problem: `too long for a secret; ${MAKE_ONE}` }
  if (/[\r\n]/.test(text)) return { text, problem: `a secret is one line; ${MAKE_ONE}` }
  if (text.length < SECRET_CHARACTERS)
    return { text, problem: `a secret has at least ${SECRET_CHARACTERS} characters; ${MAKE_ONE}` }
  return { text }
}

/** More than the start of it is never a secret, and may never end. */
function readStart(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(SECRET_FILE_BYTES)
    let length = 0
    for (;;) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null)
      length += read
      if (read === 0 || length === buffer.length) return buffer.toString('utf8', 0, length)
    }
  } finally {
    closeSync(descriptor)
  }
}
