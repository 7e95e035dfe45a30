import { once } from 'node:events'
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { connect } from 'node:net'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Whether the body ended as its length said. */
  readonly complete: boolean
}

/** One request on a connection of its own; a body that is cut is an answer too. */
export async function ask(port: number, path: string, options: RequestOptions = {}): Promise<Answer> {
  const sent = request({ host: '127.0.0.1', port, path, agent: false, ...options })
  sent.end()
  const [response] = await once(sent, 'response')
  const parts: Buffer[] = []
  response.on('data', (part: Buffer) => parts.push(part))
  const { promise, resolve } = Promise.withResolvers<void>()
  response.once('close', resolve)
  response.once('error', () => {})
  await promise
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(parts),
    complete: response.complete,
  }
}

/** Sends bytes as they are and gives all that comes back until the connection ends. */
export async function sendRaw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const parts: Buffer[] = []
  socket.on('data', (part) => parts.push(part))
  socket.on('error', () => {})
  socket.write(bytes)
  await once(socket, 'close')
  return Buffer.concat(parts).toString('latin1')
}
