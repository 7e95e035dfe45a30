import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { toShoalError } from '../errors.ts'
import type { PrewarmEvent, PrewarmRequest } from '../prewarm/prewarm-events.ts'
import type { Logger } from '../util/logger.ts'
import type { AdminBackend } from './admin-api.ts'

export interface PrewarmRouteComponents {
  readonly backend: Pick<AdminBackend, 'prewarm'>
  readonly log: Logger
}

/** Beyond that a client is so slow that progress is left out, or given up. */
const SLOW_BYTES = 256 * 1024
const STUCK_BYTES = 8 * 1024 * 1024
const DEFAULT_HOSTS = 8

/**
 * `POST /api/prewarm?image=NAME…[&platform=os/architecture…][&fleet=true[&hosts=N]]`: a line of JSON for each event, the last one
 * of the type `done` or `failed`. The prewarm ends when the client leaves; what has arrived is kept.
 */
export function addPrewarmRoute(app: FastifyInstance, { backend, log }: PrewarmRouteComponents): void {
  app.post('/api/prewarm', async (request, reply) => {
    const run = backend.prewarm(parseRequest(request.url))
    reply.hijack()
    const response = reply.raw
    const left = new AbortController()
    const onClose = (): void => left.abort(new DOMException('the client has left', 'AbortError'))
    response.once('close', onClose)
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    try {
      await run((event) => write(response, event), { signal: left.signal })
    } catch (thrown) {
      if (!left.signal.aborted) {
        log.error({ err: thrown }, 'a prewarm failed')
        response.write(`${JSON.stringify({ type: 'failed', message: toShoalError(thrown).message })}\n`)
      }
    } finally {
      response.off('close', onClose)
      response.end()
    }
  })
}

function parseRequest(url: string): PrewarmRequest {
  const query = new URL(url, 'http://agent').searchParams
  const platforms = query.getAll('platform')
  const isForFleet = query.get('fleet') === 'true'
  const hosts = query.get('hosts')
  return {
    images: query.getAll('image'),
    platforms,
    hosts: isForFleet ? (hosts === null ? DEFAULT_HOSTS : Number(hosts)) : undefined,
  }
}

function write(response: ServerResponse, event: PrewarmEvent): void {
  const isProgress = event.type === 'progress' || (event.type === 'host' && event.state === 'running')
  if (isProgress && response.writableLength > SLOW_BYTES) return
  if (response.writableLength > STUCK_BYTES) response.destroy()
  else response.write(`${JSON.stringify(event)}\n`)
}
