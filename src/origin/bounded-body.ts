import type { HttpAnswer } from './http-exchange.ts'
import { misbehaved } from './origin-failure.ts'

const MAX_DISCARDED_BYTES = 64 * 1024

/** Reads a whole body of at most `limit` bytes. @throws ShoalError ORIGIN_MISBEHAVED when there are more */
export async function readBounded(registry: string, answer: HttpAnswer, limit: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of answer.body as AsyncIterable<Buffer>) {
    length += part.length
    if (length > limit) throw misbehaved(registry, `answer is larger than ${limit} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts, length)
}

/** Lets go of a body that nobody wants, keeping the connection when only little is left of it. */
export function discard({ body }: HttpAnswer): void {
  let length = 0
  body.on('data', (part: Buffer) => {
    length += part.length
    if (length > MAX_DISCARDED_BYTES) body.destroy()
  })
}
