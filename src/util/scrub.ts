/** Where a text may carry credentials although nobody meant it to. The word before a value stays, so that one sees what was there. */
const CREDENTIALS: readonly (readonly [pattern: RegExp, kept: string])[] = [
  [/(\/\/)[^/?#@\s"'\\]+@/g, '$1***@'],
  // a signature or a token is what the query of a redirect is there for
  [/((?:https?:\/\/|\/)[^\s"'?\\]*\?)[^\s"'\\]+/gi, '$1***'],
  [/\b(bearer|basic|negotiate)(\s+)[\w.~+/=-]{6,}/gi, '$1$2***'],
  [
    /\b((?:[\w-]*(?:token|password|passwd|secret|credentials?|authorization|api[_-]?key|cookie))\\?["']?\s*[:=]\s*\\?["']?)(?!\*\*\*)[^\s"',;&}\\]+/gi,
    '$1***',
  ],
  [/(-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]*/g, '$1***'],
]

/** The text without what looks like credentials. */
export function withoutCredentials(text: string): string {
  return CREDENTIALS.reduce((rest, [pattern, kept]) => rest.replaceAll(pattern, kept), text)
}

/** The same for all texts in a value of JSON. @param hide is given each text, and the key that it stands under */
export function mapTexts(value: unknown, hide: (text: string, key: string) => string, key = ''): unknown {
  if (typeof value === 'string') return hide(value, key)
  if (Array.isArray(value)) return value.map((one) => mapTexts(one, hide, key))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, mapTexts(inner, hide, name)]))
}
