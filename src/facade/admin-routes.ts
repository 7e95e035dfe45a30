import { once } from 'node:events'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { toShoalError } from '../errors.ts'
import { parseDigest } from '../oci/digest.ts'
import type { Logger } from '../util/logger.ts'
import type { AdminBackend, MetricsSource, VerifyEvent } from './admin-api.ts'
import { type CrossSiteGuardInit, refusal } from './cross-site-guard.ts'
import { addPageRoutes, type PageRoutesComponents } from './page-routes.ts'
import { addPrewarmRoute } from './prewarm-route.ts'
import type { SupportSource } from './support-api.ts'

export interface AdminRoutesComponents {
  readonly backend: AdminBackend
  readonly metrics: MetricsSource
  /** Undefined: there is no page. */
  readonly page?: PageRoutesComponents
  readonly support?: SupportSource
  readonly log: Logger
}

/** Probes may come under any host name, and tell nothing. */
const PROBES = new Set(['/healthz', '/readyz'])

/** Health, metrics, the JSON API of the commands, and the page. */
export function addAdminRoutes(
  app: FastifyInstance,
  { backend, metrics, page, support, log }: AdminRoutesComponents,
  init: CrossSiteGuardInit,
): void {
  app.get('/healthz', () => ({ status: 'ok' }))
  app.get('/readyz', (_request, reply) => {
    const ready = backend.isReady()
    return reply.code(ready ? 200 : 503).send({ ready })
  })

  app.addHook('onRequest', async (request, reply) => {
    if (PROBES.has(request.url)) return
    const reason = refusal(request.raw, init)
    if (reason !== undefined) await sendError(reply, 403, 'DENIED', reason)
  })
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()))
  app.get('/api/status', () => backend.status())
  app.get('/api/blobs', () => ({ blobs: backend.blobs() }))
  app.get('/api/peers', () => backend.peers())
  app.get('/api/transfers', () => backend.transfers())
  app.post('/api/verify', async (_request, reply) => {
    reply.hijack()
    await streamVerify(reply, backend, log)
  })
  addPrewarmRoute(app, { backend, log })
  app.post('/api/diagnose', (_request, reply) => withClientSignal(reply, (signal) => backend.diagnose({ signal })))
  app.post('/api/gc', (_request, reply) => withClientSignal(reply, (signal) => backend.gc({ signal })))
  app.delete<{ Params: { digest: string } }>('/api/blobs/:digest', (request) =>
    backend.remove(parseDigest(request.params.digest)),
  )

  if (page !== undefined) addPageRoutes(app, page)
  if (support !== undefined) app.get('/api/support', () => support.gather())

  app.setNotFoundHandler((_request, reply) => sendError(reply, 404, 'NOT_FOUND', 'no such path'))
  app.setErrorHandler((thrown, _request, reply) => {
    const error = toShoalError(thrown)
    if (error.code === 'INTERNAL') log.error({ err: thrown }, 'admin request failed')
    return sendError(reply, error.meaning.status, error.code, error.message)
  })
}

async function streamVerify(reply: FastifyReply, backend: AdminBackend, log: Logger): Promise<void> {
  const response = reply.raw
  response.writeHead(200, { 'content-type': 'application/x-ndjson' })
  await withClientSignal(reply, async (signal) => {
    const write = async (event: VerifyEvent): Promise<void> => {
      if (!response.write(`${JSON.stringify(event)}\n`)) await once(response, 'drain', { signal })
    }
    try {
      for await (const event of backend.verify({ signal })) await write(event)
    } catch (thrown) {
      if (signal.aborted) return
      log.error({ err: thrown }, 'the store could not be verified')
      await write({ type: 'failed', message: toShoalError(thrown).message })
    }
  })
  response.end()
}

/** Runs `work` with a signal that aborts when the client leaves. */
async function withClientSignal<T>(reply: FastifyReply, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const left = new AbortController()
  const onClose = (): void => left.abort(new DOMException('the client has left', 'AbortError'))
  reply.raw.once('close', onClose)
  try {
    return await work(left.signal)
  } finally {
    reply.raw.off('close', onClose)
  }
}

async function sendError(reply: FastifyReply, status: number, code: string, message: string): Promise<void> {
  await reply.code(status).send({ errors: [{ code, message }] })
}
