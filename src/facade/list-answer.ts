import type { ListAnswer } from '../blob/ports.ts'
import type { Exchange } from './exchange.ts'
import { nextPageLink } from './list-link.ts'

/** Hands on what an origin listed, with the way to the next page leading back here. */
export function answerList(exchange: Exchange, answer: ListAnswer, init: { contentType: string; path: string }): void {
  const { body, filtersApplied } = answer
  const headers = ['Content-Type', init.contentType, 'Content-Length', `${body.length}`]
  const link = nextPageLink(answer.link, init.path, exchange.namespace)
  if (link !== undefined) headers.push('Link', link)
  if (filtersApplied !== undefined) headers.push('OCI-Filters-Applied', filtersApplied)
  exchange.writeHead(200, headers)
  exchange.response.end(exchange.isHead ? undefined : body)
}
