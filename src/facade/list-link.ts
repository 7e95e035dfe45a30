/**
 * The `Link` to the next page, such that the client comes back through this agent: the path it asked for, with the
 * origin's query, and its own `ns`.
 * Form: https://www.rfc-editor.org/rfc/rfc8288#section-3
 * @param link of the origin
 * @param path as the client sent it
 * @returns undefined when the origin names no next page
 */
export function nextPageLink(link: string | undefined, path: string, ns: string | undefined): string | undefined {
  for (const [, target = '', params = ''] of (link ?? '').matchAll(/<([^>]*)>([^<]*)/g)) {
    if (!/;\s*rel\s*=\s*"?next"?\s*(?:[;,]|$)/i.test(params)) continue
    const mark = target.indexOf('?')
    const query = new URLSearchParams(mark === -1 ? '' : target.slice(mark + 1))
    query.delete('ns')
    if (ns !== undefined) query.set('ns', ns)
    const text = query.toString()
    return `<${path}${text === '' ? '' : `?${text}`}>; rel="next"`
  }
  return undefined
}
