import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** To be read, or discarded: it holds the connection. */
  readonly body: Readable
  /** Where the answer came from in the end. */
  readonly url: URL
  /** Whether that is another host, port or scheme than was asked. */
  readonly redirected: boolean
}

/** Which connections a request goes over, so that long bodies never hold up short questions. */
export type Traffic = 'questions' | 'bodies'

/** A header that counts only when it stands there once. */
export function header(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Content-Length as a number, undefined when it is absent or no number. */
export function contentLength(answer: HttpAnswer): number | undefined {
  const value = header(answer, 'content-length')
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}
