import type { ListAnswer } from '../blob/ports.ts'
import type { Exchange } from './exchange.ts'
import { nextPageLink } from './list-link.ts'

/** Hands on what an origin listed, with the way to the next page leading back here. */
export function answerList(
  exchange: Exchange,
  answer: ListAnswer,
  init: { contentType: string | undefined; path: string },
): void {
  const { body } = answer
  const contentType = printable(init.contentType) ?? 'application/json'
  const headers = ['Content-Type', contentType, 'Content-Length', `${body.length}`]
  const link = nextPageLink(answer.link, init.path, exchange.namespace)
  if (link !== undefined) headers.push('Link', link)
  const filtersApplied = printable(answer.filtersApplied)
  if (filtersApplied !== undefined) headers.push('OCI-Filters-Applied', filtersApplied)
  exchange.writeHead(200, headers)
  exchange.response.end(exchange.isHead ? undefined : body)
}

/** What may stand in a header as it is: an origin can say anything. */
function printable(value: string | undefined): string | undefined {
  return value !== undefined && /^[\x20-\x7e]+$/.test(value) ? value : undefined
}
