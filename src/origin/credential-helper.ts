import { execFile } from 'node:child_process'
import { z } from 'zod'
import type { Credential } from './docker-config.ts'

const DEADLINE_MS = 5_000
const MAX_OUTPUT_BYTES = 1024 * 1024
/** What every helper prints when it holds nothing for a server; it then exits with 1. */
const NOT_FOUND = /credentials not found/i

const Answer = z.object({ Username: z.string(), Secret: z.string() })

/**
 * Asks `docker-credential-<name>` for a server's credential.
 * Protocol: https://github.com/docker/docker-credential-helpers#development
 * @returns undefined when the helper has none
 * @throws an error without secrets when the helper fails
 */
export async function askCredentialHelper(
  { name, server }: { name: string; server: string },
  deadlineMs = DEADLINE_MS,
): Promise<Credential | undefined> {
  const output = await run(`docker-credential-${name}`, server, deadlineMs)
  if (output === undefined) return undefined
  const answer = Answer.safeParse(parseJson(output))
  if (!answer.success) throw new Error('credential helper gave no Username and Secret')
  const { Username: username, Secret: secret } = answer.data
  if (secret === '') return undefined
  if (username === '<token>') return { kind: 'identity-token', username, token: secret }
  return { kind: 'password', username, password: secret }
}

async function run(command: string, input: string, deadlineMs: number): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  const options = { timeout: deadlineMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const
  const child = execFile(command, ['get'], options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout)
    else if (NOT_FOUND.test(stdout) || NOT_FOUND.test(stderr)) resolve(undefined)
    // Only the code: the output of a helper may hold a secret.
    else reject(new Error(error.killed === true ? 'timed out' : `failed (${error.code ?? error.signal})`))
  })
  // A helper that ends without reading breaks the pipe; its exit says the rest.
  child.stdin?.on('error', () => {})
  child.stdin?.end(`${input}\n`)
  return await promise
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
