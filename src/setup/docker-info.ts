import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

const answer = z.object({ RegistryConfig: z.object({ Mirrors: z.array(z.string()).nullish() }) })

/**
 * The mirrors of Docker Hub that a running docker asks: https://docs.docker.com/reference/api/engine/#tag/System
 * @param socketPath of its API
 * @returns undefined when nobody answers there, or not as docker does
 */
export async function dockerMirrors(
  socketPath: string,
  { signal }: { signal: AbortSignal },
): Promise<readonly string[] | undefined> {
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ socketPath, path: '/info', headers: { host: 'docker', connection: 'close' }, signal })
        .on('response', resolve)
        .on('error', reject)
        .end()
    })
    return answer.parse(JSON.parse(await text(response))).RegistryConfig.Mirrors ?? []
  } catch {
    return undefined
  }
}
