import type { FastifyInstance } from 'fastify'
import type { PageAssets } from './page-assets.ts'
import type { PageFeed } from './page-feed.ts'

/** Implemented by `StatusPage`. */
export interface PageRoutesComponents {
  readonly assets: PageAssets
  readonly feed: PageFeed
}

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // asked for again each time, and mostly answered with 304
  'cache-control': 'no-cache',
}

/** The page, its files, and the events that keep it up to date. */
export function addPageRoutes(app: FastifyInstance, { assets, feed }: PageRoutesComponents): void {
  for (const [path, { type, etag, body }] of assets.files) {
    app.get(path, (request, reply) => {
      reply.headers(HEADERS).header('etag', etag)
      if (request.headers['if-none-match'] === etag) return reply.code(304).send()
      return reply.type(type).send(body)
    })
  }
  app.get('/api/events', { exposeHeadRoute: false }, (_request, reply) => {
    reply.hijack()
    if (feed.add(reply.raw)) return
    reply.raw.writeHead(503, { 'content-type': 'application/json', 'retry-after': '10' })
    reply.raw.end(JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: 'too many pages are open' }] }))
  })
}
